"""`script/fuzz [SECONDS]`: every parser that bytes from outside reach, for seconds or for hours."""

from __future__ import annotations

import argparse
import random
import sys
import time

from fuzz_targets import all_targets
from fuzzing import fuzz, try_one

TURN_S = 5.0
"""How long one parser is tried before it is the next one's turn."""


def main() -> int:
    """Try until the time is over; exit 1 if something was found."""
    parser = argparse.ArgumentParser(prog="script/fuzz", description=__doc__)
    parser.add_argument("seconds", nargs="?", type=float, default=60.0, help="in all (default 60)")
    parser.add_argument("--only", metavar="TARGET", help="one parser; `--only list` names them")
    parser.add_argument("--seed", type=int, help="to repeat a run (default: another one each time, which is printed)")
    parser.add_argument("--hex", metavar="BYTES", help="try exactly these bytes, with --only")
    arguments = parser.parse_args()
    targets = {target.name: target for target in all_targets()}
    if arguments.only is not None and arguments.only not in targets:
        print(f"the parsers are: {', '.join(targets)}")
        return 0 if arguments.only == "list" else 2
    chosen = [targets[arguments.only]] if arguments.only else list(targets.values())
    if arguments.hex is not None:
        answer, finding = try_one(chosen[0], bytes.fromhex(arguments.hex))
        print(finding or f"{chosen[0].name} answers: {answer}")
        return 1 if finding else 0
    seed = random.SystemRandom().randrange(2**32) if arguments.seed is None else arguments.seed
    print(f"seed {seed}")
    rng = random.Random(seed)
    turn_s = min(TURN_S, arguments.seconds / len(chosen))
    ends = time.monotonic() + arguments.seconds
    found = 0
    while time.monotonic() < ends:
        for target in chosen:
            report = fuzz(target, seconds=turn_s, rng=rng)
            print(f"{target.name:<14} {report.tried:>9} tried, {report.answers:>5} different answers", flush=True)
            for finding in report.findings:
                found += 1
                print(finding, flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
