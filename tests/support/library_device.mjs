// A device made with MQTT.js, the library of Zigbee2MQTT: `node library_device.mjs MODULES VERSION PORT PASSWORD`.
// It does what library_device.py describes.
import { createRequire } from "node:module";

const [modules, version, port, password] = process.argv.slice(2);
const mqtt = createRequire(modules + "/")("mqtt");
const five = version === "5";
const client = mqtt.connect(`mqtt://127.0.0.1:${port}`, {
  protocolVersion: five ? 5 : 4,
  clientId: "library",
  username: "roof",
  password,
  clean: false,
  reconnectPeriod: 0,
  properties: five ? { sessionExpiryInterval: 600, topicAliasMaximum: 10, receiveMaximum: 5 } : undefined,
  will: { topic: "sensors/roof/alive", payload: "gone", qos: 1, retain: true },
});
client.on("message", (topic, payload, packet) => console.log("GOT", topic, payload.toString(), packet.qos));
client.on("error", (error) => { console.log("ERROR", error.message); process.exit(1); });
client.on("connect", async (connack) => {
  await client.subscribeAsync("commands/roof/#", { qos: 2 });
  for (const qos of [0, 1, 2]) await client.publishAsync(`sensors/roof/${qos}`, `q${qos}`, { qos });
  await client.publishAsync("sensors/roof/state", "on", { qos: 1, retain: true });
  console.log("READY", Number(connack.sessionPresent));
});
