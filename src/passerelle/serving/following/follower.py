"""One poll of the registry: what the alias points to is downloaded, checked, and published to all workers; or refused, with the reason."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from passerelle.follow_settings import FollowSettings
from passerelle.model.manifest import read_manifest
from passerelle.model.mlmodel import describe
from passerelle.model.origin import as_recorded
from passerelle.names import ARTIFACT_DIGEST, LEDGER_FILE, LINEAGE_FILE, MODEL_FOLDER, PREFIX, RUN_ID_LENGTH_IN_TAG
from passerelle.serving.following.download import Download, not_written, remove
from passerelle.serving.following.failures import NotReachedError, VersionRefusedError
from passerelle.serving.following.ledger_check import PRODUCTION, LedgerRole, ledger_entry
from passerelle.serving.following.mlflow_rest import AliasedVersion, MlflowRest
from passerelle.serving.following.published import CURRENT, Board, FollowState, Published
from passerelle.serving.following.target import Target
from passerelle.settings import SigningSettings

if TYPE_CHECKING:
    from passerelle.model.loaded import LoadedModel

_MOST_ATTEMPTS = 2
#: What may be no fault of the version: bytes that were damaged on their way or in the bucket, a machine that is short of memory or disk.
_MAY_PASS = frozenset({"digest", "resources"})
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 60.0, 3_600.0
_KEPT_FOLDERS = 3
_STATUS = "passerelle status"
#: What `promote` moves unless a setting says otherwise.
_PROMOTED = "production"


@dataclass(frozen=True)
class _Seen:
    """What a poll found; a version that was refused is tried again once one of these changes."""

    version: int
    run_id: str
    digest: str
    entry: str


@dataclass(frozen=True)
class _Refusal:
    """A version that is not tried again, and until when.

    Attributes:
        pause_s: After which it is; it doubles each time.
        until: By the clock; without end where only another version can be better.
    """

    seen: _Seen
    state: FollowState
    pause_s: float
    until: float


class Follower:
    """Polls one alias; for the worker that leads.

    Args:
        target: What is followed.
        settings: How.
        board: Where the result is told to all workers.
        accept: Returns the model of a version's folder once it may stand in for the one that is served; raises VersionRefusedError.
        loaded: The models that this worker holds, by the name of their folder.
        clock: In seconds.

    Attributes:
        role: Which entries of the ledger put a version where the alias points to.
    """

    role: LedgerRole = PRODUCTION

    def __init__(
        self,
        target: Target,
        settings: FollowSettings,
        board: Board,
        *,
        accept: Callable[[Path, Mapping[str, object]], LoadedModel],
        loaded: dict[str, LoadedModel],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._target = target
        self._settings = settings
        self._board = board
        self._accept = accept
        self._loaded = loaded
        self._mlflow = MlflowRest(settings)
        self._in_step: _Seen | None = None
        self._refused: _Refusal | None = None

    def poll(self) -> FollowState:
        """Ask once where the alias points to, and do what follows from it. Returns how that ended; raises nothing."""
        version = None
        try:
            version = self._mlflow.aliased(self._target.registered_model, self._target.alias)
            state = self._followed(version)
        except NotReachedError as error:
            state = FollowState("not_reached", version.version if version else None, error.code, error.message, error.hint)
        except OSError as error:
            failed = not_written(self._board.folder, error)
            state = FollowState("not_reached", version.version if version else None, failed.code, failed.message, failed.hint)
        return state

    def _followed(self, version: AliasedVersion | None) -> FollowState:
        if version is None:
            raise self._nothing()
        seen = _Seen(version.version, version.run_id, version.tags.get(ARTIFACT_DIGEST, ""), version.tags.get(self.role.tag, ""))
        if seen == self._in_step:
            return FollowState("in_step", version.version)
        if self._refused is not None and self._refused.seen == seen and self._clock() < self._refused.until:
            return self._refused.state
        try:
            self._take(version, seen)
        except VersionRefusedError as error:
            state = FollowState("refused", version.version, error.code, error.message, error.hint)
            # What the ledger says may change without the version; to ask again costs three small requests.
            self._refused = None if error.code == "ledger" else self._refusal(seen, state)
            self._in_step = None
            return state
        self._in_step, self._refused = seen, None
        return FollowState("in_step", version.version)

    def _nothing(self) -> NotReachedError:
        """Return what is missing: the registered model, or only its alias."""
        name, alias = self._target.registered_model, self._target.alias
        if not self._mlflow.has_model(name):
            hint = "passerelle register; passerelle promote\nexport PASSERELLE_FOLLOW=MODEL@production"
            return NotReachedError("no_model", f"MLflow has no registered model {name}", hint=hint)
        hint = "passerelle promote" if alias == _PROMOTED else f"passerelle promote\nexport PASSERELLE_FOLLOW={name}@{_PROMOTED}"
        return NotReachedError("no_alias", f"no version of {name} holds the alias {alias}", hint=hint)

    def _refusal(self, seen: _Seen, state: FollowState) -> _Refusal:
        """Return until when the version is not tried again: a bucket or a memory limit may be mended, and nothing tells the service."""
        if state.code not in _MAY_PASS:
            return _Refusal(seen, state, math.inf, math.inf)
        again = self._refused is not None and self._refused.seen == seen
        pause_s = min(self._refused.pause_s * 2, _LONGEST_PAUSE_S) if again and self._refused is not None else _FIRST_PAUSE_S
        return _Refusal(seen, state, pause_s, self._clock() + pause_s)

    def _take(self, version: AliasedVersion, seen: _Seen) -> None:
        """Publish the version.

        Raises:
            VersionRefusedError: It is not to be served.
            NotReachedError: It cannot be downloaded at this moment.
        """
        if not seen.digest or not version.run_id:
            name = f"{version.registered_model} version {version.version}"
            message = f"{name} has no digest of its files: it was not registered by passerelle, nor adopted"
            adopt = f"passerelle adopt models:/{version.registered_model}/{version.version}"
            raise VersionRefusedError("digest", message, hint=adopt)
        published = self._board.published()
        line, number = self._ledger_line(version, published)
        name = f"{version.version}-{version.run_id[:RUN_ID_LENGTH_IN_TAG]}-{seen.digest.removeprefix('sha256:')[:16]}"
        folder = self._board.versions / name
        if name not in self._loaded:
            self._loaded[name] = self._stored(version, seen.digest, folder)
        elif not folder.is_dir():
            self._download(version, seen.digest, folder)
        if line:
            _replace(folder / LEDGER_FILE, line)
        backed_out = published.backed_out if published and published.ledger_number == number else ""
        new = Published(version.version, version.run_id, seen.digest, name, number, backed_out)
        if new != published:
            self._board.publish(new)
        self._remove_old(name, published.folder if published else None)

    def _ledger_line(self, version: AliasedVersion, published: Published | None) -> tuple[bytes, int]:
        if self._settings.follow_ledger == "off":
            return b"", published.ledger_number if published else 0
        highest = published.ledger_number if published else 0
        file = self._board.folder / CURRENT
        line = ledger_entry(self._mlflow, version, SigningSettings.read(), highest=highest, highest_in=file, role=self.role)
        return line, int(json.loads(line)["number"])

    def _download(self, version: AliasedVersion, digest: str, folder: Path) -> None:
        """Download the version beside the others; its folder gets its name once it is complete."""
        partial = folder.with_name(f".partial-{folder.name}")
        for other in self._board.versions.glob(".partial-*"):
            if other != partial:
                remove(other)
        download = Download(self._mlflow, version, digest, partial, self._settings.follow_max_bytes)
        # Each answer of MLflow takes a tenth of a second: what is known of the run comes while the files do.
        with ThreadPoolExecutor(max_workers=1) as beside:
            origin = beside.submit(self._origin, version.run_id)
            try:
                download.run()
                if SigningSettings.read().required:
                    download.take_signature()
            except VersionRefusedError:
                remove(partial)
                raise
            lineage = self._lineage(version, digest, partial, *origin.result())
        _replace(partial / LINEAGE_FILE, json.dumps(lineage, ensure_ascii=False, indent=1).encode())
        partial.replace(folder)

    def _origin(self, run_id: str) -> tuple[Mapping[str, float], str]:
        """Return the metrics of a run, and the name of its experiment."""
        run = self._mlflow.run(run_id)
        return run.metrics, self._mlflow.experiment_name(run.experiment_id)

    def _lineage(
        self, version: AliasedVersion, digest: str, folder: Path, metrics: Mapping[str, float], experiment: str
    ) -> dict[str, object]:
        """Return what import writes down of a version, from the same sources."""
        try:
            description = describe(folder / MODEL_FOLDER, scorer_alone=True)
        except Exception as error:
            message = f"cannot parse the MLmodel file of version {version.version}: {type(error).__name__}"
            raise VersionRefusedError("mlmodel", message, hint=_STATUS) from error
        recorded = as_recorded(version.tags, read_manifest(folder))
        tags = {key.removeprefix(PREFIX): value for key, value in recorded.items() if key.startswith(PREFIX)}
        return {
            **tags,
            "registered_model": version.registered_model,
            "version": str(version.version),
            "run_id": version.run_id,
            "experiment": experiment,
            "artifact_digest": digest,
            "signature": description.signature,
            "metrics": dict(sorted(metrics.items())),
            "flavor": description.flavor,
            "libraries": description.libraries,
            "created": datetime.fromtimestamp(version.created / 1_000, UTC).isoformat(timespec="seconds"),
        }

    def _stored(self, version: AliasedVersion, digest: str, folder: Path) -> LoadedModel:
        """Return the model of the version's folder, which is downloaded where it is not there or was damaged since."""
        if folder.is_dir():
            try:
                return self._load(version, folder)
            except VersionRefusedError as error:
                if error.code == "killed":
                    raise
        self._download(version, digest, folder)
        return self._load(version, folder)

    def _load(self, version: AliasedVersion, folder: Path) -> LoadedModel:
        if self._board.attempt(folder.name) > _MOST_ATTEMPTS:
            message = f"a worker was killed {_MOST_ATTEMPTS} times while it loaded version {version.version}: the memory may be too small"
            raise VersionRefusedError("killed", message, hint="PASSERELLE_WORKERS=1 passerelle deploy")
        try:
            model = self._accept(folder, json.loads((folder / LINEAGE_FILE).read_bytes()))
        except VersionRefusedError:
            remove(folder)
            raise
        finally:
            self._board.attempted()
        return model

    def _remove_old(self, *kept: str | None) -> None:
        """Keep the newest few versions for a rollback, and remove the others."""
        folders = [path for path in self._board.versions.iterdir() if path.is_dir() and not path.name.startswith(".partial-")]
        for path in sorted(folders, key=lambda path: path.stat().st_mtime_ns, reverse=True)[_KEPT_FOLDERS:]:
            if path.name not in kept and path.name not in self._loaded:
                remove(path)


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)
