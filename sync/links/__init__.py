"""The ways to the other side: each implements `sync.links.port.Link`; only the composition root names one."""
