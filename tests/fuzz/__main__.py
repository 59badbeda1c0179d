"""`python -m tests.fuzz TARGET --runs N --seconds S`, or `--all`: one line of JSON per target, then the sum.

`--engine` is `plain`, `atheris` or `auto` (atheris where it is installed: `pip install atheris`). Inputs that
break something are written below `--folder`. Exits 1 when there are any.
"""

import argparse
import importlib.util
import json
import signal
import subprocess
import sys
import warnings
from pathlib import Path

ENGINES = ("auto", "plain", "atheris")


def main() -> None:
    """Run one target, or all of them after each other."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", nargs="?")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--engine", choices=ENGINES, default="auto")
    parser.add_argument("--folder", type=Path, default=Path("fuzz-findings"))
    options = parser.parse_args()
    guided = options.engine == "atheris" or (
        options.engine == "auto" and importlib.util.find_spec("atheris") is not None
    )
    if options.all or options.target is None:
        sys.exit(run_all(options, "atheris" if guided else "plain"))
    warnings.simplefilter("error")
    if guided:
        import atheris

        with atheris.instrument_imports(include=["complaints", "abuse_lookup"], enable_loader_override=False):
            from tests.fuzz.targets import TARGETS
        from tests.fuzz.run import by_coverage

        by_coverage(
            TARGETS[options.target],
            runs=options.runs,
            seconds=options.seconds,
            seed=options.seed,
            folder=options.folder,
        )
    from tests.fuzz.run import plain
    from tests.fuzz.targets import TARGETS

    target = TARGETS[options.target]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    run = plain(target, runs=options.runs, seconds=options.seconds, seed=options.seed, folder=options.folder)
    print(run.line(), flush=True)
    sys.exit(1 if run.broken else 0)


def run_all(options: argparse.Namespace, engine: str) -> int:
    """Run every target in a process of its own; print each run, then the sum; return the exit code."""
    from tests.fuzz.targets import TARGETS

    total, broken = 0, 0
    for name in TARGETS:
        limits = ["--runs", str(options.runs), "--seconds", str(options.seconds), "--seed", str(options.seed)]
        command = [
            sys.executable,
            "-m",
            "tests.fuzz",
            name,
            "--engine",
            engine,
            "--folder",
            str(options.folder),
        ]
        ran = subprocess.run([*command, *limits], stdout=subprocess.PIPE, text=True, check=False)
        line = next((line for line in ran.stdout.splitlines() if line.startswith("{")), None)
        if line is None:
            print(json.dumps({"target": name, "error": f"ended with {ran.returncode}"}), flush=True)
            broken += 1
            continue
        print(line, flush=True)
        document = json.loads(line)
        total += document["executions"]
        broken += sum(document["broken"].values())
    print(json.dumps({"targets": len(TARGETS), "executions": total, "broken": broken}), flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    main()
