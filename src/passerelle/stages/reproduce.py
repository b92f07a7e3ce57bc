"""Train a version again: from its commit, its data and its seed, and say whether the same model comes out."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from passerelle.errors import IntegrityError, NotFoundError, OutsideError, UsageError
from passerelle.gate.held_out import VersionFiles, held_out
from passerelle.model.mlmodel import describe
from passerelle.names import CANDIDATE, DATA_DIGEST, GIT_COMMIT, GIT_DIRTY, GOLDEN, HELD_OUT_SET, MIN_CLASS_ROWS, OTHER_CLASS, SEED
from passerelle.registry.client import Registry, VersionInfo
from passerelle.registry.recorded_origin import recorded
from passerelle.registry.training_data import TRAINING, training_of
from passerelle.stages.child_progress import run_with_progress
from passerelle.stages.context import Context, Progress, silent, stage
from passerelle.stages.interpreter import interpreter_for
from passerelle.stages.model_comparison import ModelComparison, compare_models
from passerelle.stages.reproduction import TrainingComparison, compare_trainings
from passerelle.stages.train import DEMO
from passerelle.stages.train_options import TrainingData

_TRAIN_TIMEOUT_S = 3_600
_GIT_TIMEOUT_S = 120
#: Anything else, such as an option of git, is not a commit that training recorded.
_COMMIT = re.compile(r"[0-9a-f]{40,64}")
_EXPERIMENT = "reproduce"


@dataclass(frozen=True)
class Reproduction:
    """A version and its second training.

    Attributes:
        commit: That the second training ran from.
        differing_libraries: What the model was made with and what the second one was, where they differ.
        notes: With which libraries it was trained, and what else may make a difference.
    """

    version: int
    candidate: str
    commit: str
    run_id: str
    comparison: TrainingComparison
    differing_libraries: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether the same model came out."""
        return self.comparison.same


@stage
def run(
    context: Context, number: int, data: TrainingData = DEMO, *, repository: Path = Path(), progress: Progress = silent
) -> Reproduction:
    """Train a version again in a checkout of its commit, and compare.

    Args:
        number: Of the version.
        data: What it was trained on; by default the demo's comments.
        repository: A git repository that holds the commit.
        progress: Called with a line for what takes time.

    Raises:
        UsageError: The version says no commit, or the commit is not in this repository.
        IntegrityError: The data is not what it was trained on.
        OutsideError: The environment of that commit cannot be made, or the training failed.
    """
    registry = context.registry
    version = registry.model_version(registry.settings.registered_model, number)
    found = recorded(registry, version)
    commit = found.tags.get(GIT_COMMIT, "unknown")
    if not _COMMIT.fullmatch(commit):
        raise UsageError(f"{version.ref} was trained without a git commit that can be gone back to", hint=f"passerelle trace {number}")
    run = registry.run(version.ref.run_id)
    tags = found.run_tags or run.tags
    with checkout(repository.resolve(), commit) as folder:
        interpreter = interpreter_for(folder, folder.parent / "environment", progress, path=context.environment.get("PATH", ""))
        progress(f"train again from {commit[:12]}, seed {tags.get(SEED, '0')}; this takes as long as the first time")
        options = ["--seed", tags.get(SEED, "0"), *train_options(data), *_rows_of(tags)]
        of_data, environment = (tags.get(DATA_DIGEST, ""), number), context.environment
        parent = _trained(folder, interpreter.python, options, of_data=of_data, environment=environment, progress=progress)
    candidate = tags.get(CANDIDATE, run.name)
    again = next((each for each in registry.candidate_runs(parent) if each.name == candidate), None)
    if again is None:
        raise NotFoundError(f"the training {parent} has no candidate '{candidate}'", hint="passerelle compare")
    model, differing = _models(registry, version, found.manifest, again.run_id)
    golden, golden_again = (registry.read_json(each.run_id, GOLDEN) for each in (run, again))
    comparison = compare_trainings(run.metrics, again.metrics, golden, golden_again, model)
    notes = [interpreter.note, *(["it was trained with changes that no commit holds"] if tags.get(GIT_DIRTY) == "true" else [])]
    notes += [*([found.note] if found.note else []), *(each.text for each in found.differences)]
    return Reproduction(number, candidate, commit, again.run_id, comparison, differing, tuple(notes))


def train_options(data: TrainingData) -> list[str]:
    """Return the options of `passerelle train` that name the data."""
    path = data.path.resolve() if isinstance(data.path, Path) else data.path
    named = {"--data": path, "--sheet": data.sheet, "--label-column": data.label_column}
    options = [part for name, value in named.items() if value is not None for part in (name, str(value))]
    options += [part for column in data.text_columns for part in ("--text-column", column)]
    options += [part for column in data.optional_text_columns for part in ("--optional-text-column", column)]
    options += [part for column in data.feature_columns for part in ("--feature-column", column)]
    return [*options, "--drop-missing"] if data.drop_missing else options


def _rows_of(tags: Mapping[str, str]) -> list[str]:
    """Return the options of `passerelle train` that treat rare classes in the same way and hold the same rows out.

    A training without a number divided its rows by its seed, as the code of its commit does.
    """
    named = {"--held-out-set": tags.get(HELD_OUT_SET), "--min-class-rows": tags.get(MIN_CLASS_ROWS), "--other": tags.get(OTHER_CLASS)}
    return [part for name, value in named.items() if value is not None for part in (name, value)]


@contextmanager
def checkout(root: Path, commit: str) -> Iterator[Path]:
    """Check the commit of a repository out beside it, for as long as the body runs.

    Raises:
        UsageError: This is no git repository, or it does not hold the commit.
    """
    with tempfile.TemporaryDirectory(prefix="passerelle-reproduce-") as temporary:
        folder = Path(temporary) / "checkout"
        added = _git(root, "worktree", "add", "--detach", str(folder), commit)
        if added.returncode != 0:
            reason = (added.stderr.strip().splitlines() or ["git says nothing"])[-1]
            raise UsageError(f"the commit {commit} cannot be checked out: {reason}", hint="git fetch --all")
        try:
            yield folder
        finally:
            _git(root, "worktree", "remove", "--force", str(folder))


def _git(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["git", "-C", str(root), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=_GIT_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", f"git does not answer: {error}")


def _trained(
    folder: Path,
    python: Path,
    options: Sequence[str],
    *,
    of_data: tuple[str, int],
    environment: Mapping[str, str],
    progress: Progress = silent,
) -> str:
    """Return the parent run of a training by the code in the folder, after checking that the data is the same.

    Args:
        of_data: Digest of the data, and the version that was trained on it.
    """
    _check_data(_train(folder, python, ["--dry-run", *options], environment, silent), *of_data)
    result = _train(folder, python, options, environment, progress)
    _check_data(result, *of_data)
    return str(result["parent_run_id"])


def _train(folder: Path, python: Path, options: Sequence[str], environment: Mapping[str, str], progress: Progress) -> Mapping[str, object]:
    """Return what `passerelle train --json` of the folder prints; its progress is passed on line by line."""
    command = [str(python), "-m", "passerelle", "train", "--json", "--again", "--experiment", _EXPERIMENT, *options]
    variables = dict(environment) | {"PYTHONPATH": f"{folder / 'src'}{os.pathsep}{folder}"}
    done = run_with_progress(command, folder, variables, _TRAIN_TIMEOUT_S, progress)
    # With the code of a usage error, the result of a training that left a bad candidate out.
    if done.returncode != 0 and '"parent_run_id"' not in done.stdout:
        output = "\n".join(f"    {line}" for line in (done.stderr or done.stdout).strip().splitlines()[-6:])
        raise OutsideError(f"the training from that commit failed:\n{output}", hint="git checkout COMMIT; passerelle train")
    return dict(json.loads(done.stdout))


def _check_data(result: Mapping[str, object], data_digest: str, number: int) -> None:
    """Check that the data is what the version of this number was trained on; raises IntegrityError otherwise."""
    found = str(result["data_digest"])
    if found != data_digest:
        message = f"the data has the digest {found[:19]}…, version {number} was trained on {data_digest[:19]}…"
        raise IntegrityError(message, hint=f"passerelle reproduce {number} --data FILE --text-column COLUMN --label-column COLUMN")


def _models(
    registry: Registry, version: VersionInfo, manifest: Mapping[str, Any] | None, run_id: str
) -> tuple[ModelComparison, tuple[str, ...]]:
    """Return how the version's model compares with that of the second training, and the libraries that differ.

    Raises:
        IntegrityError: The held-out rows are not those of the registration.
    """
    with tempfile.TemporaryDirectory(prefix="passerelle-reproduce-") as temporary:
        place = Path(temporary)
        then = registry.download_model(version.ref, place / "then")
        now = registry.download(registry.model_uri(run_id), place / "now")
        recorded_digests = dict((manifest or {}).get(TRAINING) or {})
        files = VersionFiles(version.ref, then, training_of(registry, version.ref.run_id), recorded_digests)
        try:
            rows: pd.DataFrame | None = held_out(registry, files, place / "held_out")
        except NotFoundError:
            rows = None
        golden = registry.run_artifact(version.ref.run_id, GOLDEN, place / "beside")
        comparison = compare_models(then, now, rows, golden)
        before, after = describe(then).libraries, describe(now).libraries
    return comparison, tuple(
        f"{name} {library} then, {after.get(name, 'none')} now" for name, library in sorted(before.items()) if after.get(name) != library
    )
