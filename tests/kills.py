"""Commands killed at random requests and raced in pairs, with a slow and failing MLflow and S3 in between, and clocks a day off.

`python -m tests.kills 50` prints the tables; the tests in tests/integration/test_kills.py take a few of them.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from passerelle.criteria import Criteria
from passerelle.errors import PasserelleError
from passerelle.names import ModelVersionRef
from passerelle.registry.client import Registry
from passerelle.registry.ledger import Ledger
from passerelle.registry.verified import history
from passerelle.settings import StoreSettings
from passerelle.stages.import_model import import_model
from passerelle.stages.register import register
from passerelle.stages.rollback import rollback
from passerelle.stages.status import gather
from tests.faulty_proxy import Faults, new_faults, proxied
from tests.platform_fixtures import moved

_FORK = multiprocessing.get_context("fork")
COMMANDS = ("promote", "rollback", "register", "import")
PAIRS = (("promote", "promote"), ("promote", "rollback"), ("rollback", "rollback"), ("register", "register"), ("import", "import"))
_LONGEST_S = 120.0
_MOST_REPAIRS = 3
#: Kills after which the requests of a command are counted again: the ledger grows.
_COUNTED_EACH = 10


@dataclass
class KillGround:
    """A registered model with two versions that were in production, behind proxies and not.

    Attributes:
        behind: Registry that is reached through the proxies.
        run_id: A run that is registered by the commands.
        requests: Of each command, as they were counted last.
    """

    registry: Registry
    behind: Registry
    versions: tuple[ModelVersionRef, ModelVersionRef]
    run_id: str
    faults: Faults
    folder: Path
    problems: list[str] = field(default_factory=list)
    requests: dict[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.versions[0].registered_model

    @property
    def store(self) -> StoreSettings:
        return StoreSettings.read(bentoml_home=self.folder / "bentoml")

    def empty_store(self) -> None:
        """Let the next import have something to do."""
        shutil.rmtree(self.folder / "bentoml", ignore_errors=True)


@contextmanager
def kill_ground(registry: Registry, run_ids: Sequence[str], folder: Path) -> Iterator[KillGround]:
    """Yield new ground on a platform that runs, with proxies before it."""
    settings = registry.settings.model_copy(update={"registered_model": f"kills-{uuid.uuid4().hex[:8]}"})
    direct, faults = Registry(settings, registry.objects.settings), new_faults()
    versions = []
    for run_id in run_ids[:2]:
        ref = register(direct, run_id=run_id, criteria=Criteria()).ref
        assert ref is not None
        moved(direct, ref)
        versions.append(ref)
    s3 = registry.objects.settings
    with proxied(settings.tracking_uri, faults) as mlflow, proxied(str(s3.endpoint_url), faults) as bucket:
        behind = Registry(settings.model_copy(update={"tracking_uri": mlflow}), s3.model_copy(update={"endpoint_url": bucket}))
        yield KillGround(direct, behind, (versions[0], versions[1]), run_ids[0], faults, folder)


def action(ground: KillGround, command: str) -> Callable[[], object]:
    """Return what carries the command out; `register` and `import` make their result anew."""
    production = ground.registry.aliases(ground.name).get("production")
    other = next(ref for ref in ground.versions if ref.version != production)
    if command == "register":
        again = ground.behind.settings.model_copy(update={"registered_model": f"{ground.name}-{uuid.uuid4().hex[:8]}"})
        registry = Registry(again, ground.behind.objects.settings)
        return lambda: register(registry, run_id=ground.run_id, criteria=Criteria())
    return {
        "promote": lambda: moved(ground.behind, other),
        "rollback": lambda: rollback(ground.behind, who="test@here", version=other.version),
        "import": lambda: import_model(ground.behind, ground.store),
    }[command]


def started(act: Callable[[], object], *, days_off: float = 0) -> multiprocessing.process.BaseProcess:
    """Return the process that does it, whose clock may be off."""

    def body() -> None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        if days_off:
            from passerelle.registry import ledger

            ledger.now = lambda: (datetime.now(UTC) + timedelta(days=days_off)).isoformat(timespec="milliseconds")
        try:
            act()
        except PasserelleError:
            os._exit(3)
        os._exit(0)

    process = _FORK.Process(target=body)
    process.start()
    return process


def ended(process: multiprocessing.process.BaseProcess) -> str:
    """Wait for a process and return how it ended."""
    process.join(_LONGEST_S)
    if process.is_alive():
        process.kill()
        process.join()
        return "hung"
    return {0: "done", 3: "said why"}.get(process.exitcode or 0, "killed" if (process.exitcode or 0) < 0 else "crashed")


def killed(ground: KillGround, command: str, seed: int) -> str:
    """Carry the command out, kill it at a random request, mend what is left; return how it ended."""
    draw = random.Random(f"{command} {seed}")  # noqa: S311 - not for secrets
    faults = ground.faults
    if command not in ground.requests or seed % _COUNTED_EACH == 0:
        ground.requests[command] = _requests(ground, command)
    ground.empty_store()
    faults.left.value, faults.answered.value = draw.randint(1, ground.requests[command]), draw.randint(0, 1)
    faults.slow_ms.value, faults.failing.value = draw.choice((0, 0, 30)), draw.choice((0, 0, 0.03))
    process = started(action(ground, command), days_off=draw.choice((0, -1, 1)))
    faults.victim.value = process.pid or 0
    how = ended(process)
    faults.calm()
    return f"{how}, {mended(ground, command, seed)}"


def _requests(ground: KillGround, command: str) -> int:
    """Return how many requests the command makes where nobody disturbs it."""
    ground.empty_store()
    ground.faults.calm()
    ended(started(action(ground, command)))
    return max(1, ground.faults.seen.value)


def raced(ground: KillGround, pair: tuple[str, str], seed: int) -> str:
    """Carry out both at once, slowed and failing; mend what is left; return how both ended."""
    draw = random.Random(f"{pair} {seed}")  # noqa: S311 - not for secrets
    ground.faults.slow_ms.value, ground.faults.failing.value = draw.choice((0, 20)), draw.choice((0, 0, 0.02))
    ground.empty_store()
    act = action(ground, pair[0])
    acts = (act, act if pair[0] == pair[1] else action(ground, pair[1]))
    processes = []
    for each in acts:
        processes.append(started(each))
        time.sleep(draw.uniform(0, 0.05))
    how = " and ".join(sorted(ended(each) for each in processes))
    ground.faults.calm()
    return f"{how}, {mended(ground, pair[0], seed)}"


def mended(ground: KillGround, command: str, seed: int) -> str:
    """Do what `status` says until nothing disagrees, and note where that fails; return how many commands it took."""
    with suppress(PasserelleError):
        # Two minutes later: the lock of the dead is stale.
        ground.registry.objects.delete(f"{Ledger(ground.registry.objects, ground.name).head_key.removesuffix('head.json')}lock.json")
    took = 0
    try:
        while (commands := _named(ground)) and took < _MOST_REPAIRS:
            took += 1
            _do(ground, commands[0])
        if commands:
            ground.problems.append(f"{command} {seed}: status still says {commands}")
        if command == "import":
            import_model(ground.registry, ground.store)
        if faults := history(ground.registry, ground.name).findings:
            ground.problems.append(f"{command} {seed}: the ledger is broken at {faults[0]}")
    except PasserelleError as error:
        ground.problems.append(f"{command} {seed}: {error.message}")
    return f"{took} commands to mend"


def _named(ground: KillGround) -> list[str]:
    status = gather(ground.registry, bento_model=None, bento=None, service=None, service_address=None)
    return [each.command for each in status.disagreements]


def _do(ground: KillGround, command: str) -> None:
    words = command.split()
    number = int(words[words.index("--version") + 1])
    if words[1] == "rollback":
        rollback(ground.registry, who="test@here", version=number)
    else:
        moved(ground.registry, next(ref for ref in ground.versions if ref.version == number))


def runs_with_several_versions(ground: KillGround) -> list[str]:
    """Return the registered models that got two versions of one run here; other tests make such ones on purpose."""
    of_run = Counter(info.ref.registered_model for info in ground.registry.versions_of_run(ground.run_id))
    return [name for name, number in of_run.items() if number > 1 and name.startswith(ground.name)]


def table(ground: KillGround, times: int) -> Iterator[str]:
    """Yield the lines of both tables."""
    yield "| command | times | how it ended, and what mended it |\n|---|---|---|"
    for command in COMMANDS:
        yield _row(command, Counter(killed(ground, command, seed) for seed in range(times)), times)
    yield "\n| both at once | times | how they ended, and what mended it |\n|---|---|---|"
    for pair in PAIRS:
        yield _row(" and ".join(pair), Counter(raced(ground, pair, seed) for seed in range(times // 5 or 1)), times // 5 or 1)
    several = runs_with_several_versions(ground)
    entries = history(ground.registry, ground.name)
    yield f"\nentries of the ledger: {len(entries.entries)}, faults: {len(entries.findings)}; runs registered twice: {len(several)}"
    yield from (ground.problems or ["nothing was left that status did not mend"])


def _row(name: str, ends: Counter[str], times: int) -> str:
    listed = "; ".join(f"{number} × {how}" for how, number in ends.most_common())
    return f"| {name} | {times} | {listed} |"


def main(times: int) -> None:
    """Print the tables, on a platform and a training of their own."""
    from tests.kills_platform import trained_platform

    with (
        tempfile.TemporaryDirectory(prefix="passerelle-kills-") as folder,
        trained_platform(Path(folder)) as (registry, run_ids),
        kill_ground(registry, run_ids, Path(folder)) as ground,
    ):
        for line in table(ground, times):
            print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
