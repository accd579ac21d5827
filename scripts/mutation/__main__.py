"""The command line of scripts/mutate: choose mutants, try them, and report those that no test has noticed."""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.mutation.areas import AREAS, ROOT, Area, files, mutants_of, test_files
from scripts.mutation.mutant import Mutant
from scripts.mutation.reach import reach_of
from scripts.mutation.trying import Outcome, try_all

KEPT = ROOT / "out" / "mutation"
ACCEPTED = Path(__file__).parent / "accepted"


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit code: 1 if fewer mutants are killed than required, 2 for a wrong argument."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the processes that try mutants are ended, too
    if options.list:
        for name, area in AREAS.items():
            print(f"{name:14}{sum(len(mutants_of(path)) for path in files(area.modules)):6} mutants")
        return 0
    outcomes: list[Outcome] = []
    for name in options.areas or list(AREAS):
        outcomes += _try_area(name, AREAS[name], options)
    return _report(outcomes, options.at_least)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/mutate", description=__doc__)
    parser.add_argument("areas", nargs="*", metavar="AREA", help=f"one of: {', '.join(AREAS)} (default: all)")
    parser.add_argument("--file", action="append", default=[], help="only mutants of this file; can be repeated")
    parser.add_argument("--sample", type=int, metavar="N", help="try N mutants of each area (default: all)")
    parser.add_argument("--seed", type=int, default=1, help="chooses the sample (default: 1)")
    parser.add_argument("--survivors", action="store_true", help="try only those that survived the last time")
    parser.add_argument("--jobs", type=int, default=2, help="processes that try mutants (default: 2)")
    parser.add_argument("--at-least", type=float, default=90.0, metavar="PERCENT", help="required (default: 90)")
    parser.add_argument("--list", action="store_true", help="list the areas and their numbers of mutants")
    options = parser.parse_args(arguments)
    for area in options.areas:
        if area not in AREAS:
            parser.error(f"AREA is {area!r}: there are {', '.join(AREAS)}")
    return options


def _try_area(name: str, area: Area, options: argparse.Namespace) -> list[Outcome]:
    accepted = _accepted(name)
    chosen = [path for path in files(area.modules) if not options.file or path in options.file]
    mutants = [mutant for path in chosen for mutant in mutants_of(path) if _key(mutant) not in accepted]
    kept = KEPT / f"{name}.json"
    before: dict[str, str] = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    if options.survivors:
        mutants = [mutant for mutant in mutants if not before.get(_key(mutant), "killed").startswith("killed")]
    if options.sample is not None and options.sample < len(mutants):
        mutants = random.Random(options.seed).sample(mutants, options.sample)
    outcomes: list[Outcome] = []

    def note(outcome: Outcome) -> None:
        outcomes.append(outcome)
        before[_key(outcome.mutant)] = outcome.outcome
        kept.write_text(json.dumps(before), encoding="utf-8")
        if not outcome.is_killed:
            print(f"{outcome.outcome} ({outcome.tests} tests): {outcome.mutant} #{_key(outcome.mutant)}", flush=True)

    if mutants:
        reach = reach_of(test_files(area))
        KEPT.mkdir(parents=True, exist_ok=True)
        print(f"{name}: {len(mutants)} mutants", file=sys.stderr, flush=True)
        try_all(mutants, reach, options.jobs, note)
    killed = sum(outcome.is_killed for outcome in outcomes)
    print(f"{name}: {killed} of {len(outcomes)} killed", flush=True)
    return outcomes


def _report(outcomes: Sequence[Outcome], at_least: float) -> int:
    killed = sum(outcome.is_killed for outcome in outcomes)
    percent = 100 * killed / len(outcomes) if outcomes else 100.0
    print(f"all: {killed} of {len(outcomes)} killed ({percent:.1f} %)")
    if percent < at_least:
        print(
            f"scripts/mutate: {percent:.1f} % of the mutants are killed; required are {at_least:g} %", file=sys.stderr
        )
        return 1
    return 0


def _key(mutant: Mutant) -> str:
    return mutant.key((ROOT / mutant.path).read_text(encoding="utf-8"))


def _accepted(area: str) -> set[str]:
    """Return the keys of the mutants that need not be killed: a file for each area states why."""
    file = ACCEPTED / f"{area}.txt"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return {line.split()[0] for line in lines if line and not line.startswith("#")}


if __name__ == "__main__":
    sys.exit(main())
