"""MLflow's tracking server and registry, and the S3 behind them; nothing else calls ``MlflowClient``."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import mlflow.artifacts
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from passerelle.errors import NotFoundError
from passerelle.model.version_tags import packed
from passerelle.names import CANDIDATE_ALIAS, PARENT_RUN, ModelVersionRef
from passerelle.registry.entities import CandidateRun, VersionInfo, all_pages, candidate, finished_trainings, quoted, version_info
from passerelle.registry.failures import mlflow_errors, parsed
from passerelle.registry.logged_models import only_model
from passerelle.registry.mlflow_environment import MlflowEnvironment
from passerelle.registry.monitoring_run import log_day
from passerelle.registry.objects import Objects
from passerelle.registry.reachable import check_mlflow
from passerelle.registry.small_artifacts import SmallArtifacts
from passerelle.registry.stored_tags import delete_tag, set_tags
from passerelle.settings import MlflowSettings, S3Settings

__all__ = ["ARCHIVED_STAGE", "PRODUCTION_STAGE", "CandidateRun", "Registry", "VersionInfo"]

PRODUCTION_STAGE = "Production"
ARCHIVED_STAGE = "Archived"


class Registry:
    """One MLflow server with the S3 that its artifacts are in.

    Args:
        mlflow: Address, experiment and registered model.
        s3: How to reach the artifacts and the ledger.
        variables: Which of MLFLOW_… and AWS_… hold for MLflow's own code, in place of those of this process; None adds to those.
    """

    def __init__(self, mlflow: MlflowSettings, s3: S3Settings, variables: Mapping[str, str] | None = None) -> None:
        self.settings = mlflow
        self.environment = MlflowEnvironment(mlflow, s3, variables)
        self.objects = Objects(s3)
        self._client = MlflowClient(tracking_uri=mlflow.tracking_uri, registry_uri=mlflow.tracking_uri)
        self._small = SmallArtifacts(lambda run_id: str(self._client.get_run(run_id).info.artifact_uri), self.objects)

    def check(self) -> None:
        """Check that both answer; takes seconds at most, where MLflow's own retries take minutes.

        Raises:
            OutsideError: Names which of the two does not answer, or what S3 refuses.
        """
        check_mlflow(self.settings)
        self.objects.check()

    @contextmanager
    def _calling(self, what: str, *, hint: str | None = None, artifacts: bool = False) -> Iterator[None]:
        """Call MLflow in the environment of this server, and turn its failures into ours."""
        with self.environment.calling(artifacts=artifacts), mlflow_errors(what, hint=hint):
            yield

    @contextmanager
    def mlflow(self, what: str, *, hint: str | None = None, artifacts: bool = False) -> Iterator[MlflowClient]:
        """Yield MLflow's client for the other modules of this folder; its failures become ours, about what is named."""
        with self._calling(what, hint=hint, artifacts=artifacts):
            yield self._client

    def latest_training(self, experiment: str | None = None) -> str:
        """Return the id of the parent run that finished last.

        Raises:
            NotFoundError: The experiment does not exist or holds no finished training.
        """
        name = experiment or self.settings.experiment
        found = self.find_training({}, name)
        if found is None:
            hint = "passerelle train\npasserelle adopt models:/NAME/VERSION"
            raise NotFoundError(f"the experiment '{name}' holds no finished training", hint=hint)
        return found

    def find_training(self, tags: Mapping[str, str], experiment: str | None = None) -> str | None:
        """Return the id of the newest finished parent run with these tags, or None."""
        name = experiment or self.settings.experiment
        with self._calling(f"the experiment '{name}'"):
            found = self._client.get_experiment_by_name(name)
            if found is None:
                return None
            query = finished_trainings(tags)
            runs = self._client.search_runs([found.experiment_id], query, max_results=1, order_by=["attributes.start_time DESC"])
        return str(runs[0].info.run_id) if runs else None

    def candidate_runs(self, parent_run_id: str) -> tuple[CandidateRun, ...]:
        """Return the finished candidates of one training, in the order of their names.

        Raises:
            NotFoundError: There is no such run, or it has no candidates.
        """
        hint = "passerelle train --again"
        with self._calling(f"the training run {parent_run_id}", hint=hint):
            experiment_id = self._client.get_run(parent_run_id).info.experiment_id
            of_parent = f"tags.`{PARENT_RUN}` = '{parent_run_id}'"
            runs = all_pages(self._client.search_runs, [experiment_id], of_parent, order_by="attributes.start_time ASC")
        candidates = [candidate(run) for run in runs if run.info.status == "FINISHED"]
        if not candidates:
            raise NotFoundError(f"the training run {parent_run_id} holds no finished candidate", hint=hint)
        return tuple(sorted(candidates, key=lambda run: run.name))

    def run(self, run_id: str) -> CandidateRun:
        """Return one run.

        Raises:
            NotFoundError: There is no such run.
        """
        with self._calling(f"the run {run_id}", hint="passerelle compare"):
            return candidate(self._client.get_run(run_id))

    def experiment_of(self, run_id: str) -> str:
        """Return the name of the experiment that the run belongs to."""
        with self._calling(f"the run {run_id}"):
            return str(self._client.get_experiment(self._client.get_run(run_id).info.experiment_id).name)

    def model_version(self, registered_model: str, version: int) -> VersionInfo:
        """Return one version.

        Raises:
            NotFoundError: The version does not exist, or was deleted.
        """
        with self._calling(f"version {version} of '{registered_model}'", hint="passerelle status"):
            return version_info(self._client.get_model_version(registered_model, str(version)))

    def versions(self, registered_model: str) -> tuple[VersionInfo, ...]:
        """Return all versions, the newest first; none where there is no such registered model."""
        of_name = f"name = {quoted(registered_model)}"
        with self._calling(f"the registered model '{registered_model}'"):
            found = all_pages(self._client.search_model_versions, of_name, order_by="version_number ASC")
        return tuple(sorted(map(version_info, found), key=lambda info: -info.ref.version))

    def newest_version(self, registered_model: str) -> VersionInfo | None:
        """Return the version with the highest number; None where there is none."""
        of_name = f"name = {quoted(registered_model)}"
        with self._calling(f"the registered model '{registered_model}'"):
            found = self._client.search_model_versions(of_name, max_results=1, order_by=["version_number DESC"])
        return version_info(found[0]) if found else None

    def versions_of_run(self, run_id: str) -> tuple[VersionInfo, ...]:
        """Return all versions that were made from the run, of any registered model."""
        with self._calling(f"the versions of the run {run_id}"):
            found = all_pages(self._client.search_model_versions, f"run_id = '{run_id}'", order_by="creation_timestamp ASC")
        return tuple(map(version_info, found))

    def aliases(self, registered_model: str) -> dict[str, int]:
        """Return each alias with the version it points to; none where there is no such registered model."""
        try:
            with self._calling(f"the registered model '{registered_model}'"):
                return {alias: int(version) for alias, version in self._client.get_registered_model(registered_model).aliases.items()}
        except NotFoundError:
            return {}

    def resolve(self, registered_model: str, alias: str) -> ModelVersionRef:
        """Return the version that holds the alias; resolved once, so that a later move has no effect.

        Raises:
            NotFoundError: The alias is not set, or its version was deleted.
        """
        version = self.aliases(registered_model).get(alias)
        if version is None:
            message = f"no version of '{registered_model}' holds the alias '{alias}'"
            hint = "passerelle rollout --candidate N --weight 10" if alias == CANDIDATE_ALIAS.name else "passerelle promote"
            raise NotFoundError(message, hint=hint)
        return self.model_version(registered_model, version).ref

    def create_version(self, registered_model: str, run_id: str, model_uri: str, tags: Mapping[str, str]) -> ModelVersionRef:
        """Make the run's model a new version, and the registered model where it is missing."""
        with self._calling(f"the registered model '{registered_model}'"):
            try:
                self._client.create_registered_model(registered_model)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            model_id = model_uri.removeprefix("models:/") if model_uri.startswith("models:/") else None
            created = self._client.create_model_version(
                registered_model, model_uri, run_id=run_id or None, tags=packed(tags), model_id=model_id
            )
        return version_info(created).ref

    def model_uri(self, run_id: str) -> str:
        """Return the address of the one model that the run logged.

        Raises:
            NotFoundError: The run logged none.
            UsageError: It logged several, and which of them is meant is not known.
        """
        with self._calling(f"the run {run_id}"):
            return only_model(self._client, run_id).source

    def set_version_tags(self, ref: ModelVersionRef, tags: Mapping[str, str]) -> None:
        """Set the tags of a version, those of its record last."""
        with self._calling(str(ref)):
            set_tags(self._client, ref, tags)

    def model_tags(self, registered_model: str) -> dict[str, str]:
        """Return the tags of the registered model itself; none where there is no such registered model."""
        try:
            with self._calling(f"the registered model '{registered_model}'"):
                return dict(self._client.get_registered_model(registered_model).tags)
        except NotFoundError:
            return {}

    def delete_version_tag(self, ref: ModelVersionRef, name: str) -> None:
        """Delete a tag of a version."""
        with self._calling(str(ref)):
            delete_tag(self._client, ref, name)

    def set_model_tag(self, registered_model: str, name: str, value: str) -> None:
        """Set a tag of the registered model itself."""
        with self._calling(f"the registered model '{registered_model}'"):
            self._client.set_registered_model_tag(registered_model, name, value)

    def set_alias(self, ref: ModelVersionRef, alias: str) -> None:
        """Let the alias point to the version."""
        with self._calling(str(ref)):
            self._client.set_registered_model_alias(ref.registered_model, alias, str(ref.version))

    def delete_alias(self, registered_model: str, alias: str) -> None:
        """Remove the alias."""
        with self._calling(f"the registered model '{registered_model}'"):
            self._client.delete_registered_model_alias(registered_model, alias)

    def set_stage(self, ref: ModelVersionRef, stage: str) -> None:
        """Move the version to the stage; others keep theirs."""
        with self._calling(str(ref)), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # deprecated, but teams still load models by stage
            self._client.transition_model_version_stage(ref.registered_model, str(ref.version), stage)

    def download_model(self, ref: ModelVersionRef, destination: Path) -> Path:
        """Download the version's model directory and return where it is.

        Raises:
            OutsideError: An object is missing or S3 does not answer.
        """
        with self._calling(f"the files of {ref}", hint="passerelle status", artifacts=True):
            uri = self._client.get_model_version_download_uri(ref.registered_model, str(ref.version))
            return self.download(uri, destination)

    def download(self, uri: str, destination: Path) -> Path:
        """Download all below the address and return where it is."""
        destination.mkdir(parents=True, exist_ok=True)
        with self._calling(f"the files at {uri}", artifacts=True):
            folder = Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(destination), tracking_uri=self.settings.tracking_uri))
        # MLflow writes this file at a download; it is not among the artifacts.
        (folder / "registered_model_meta").unlink(missing_ok=True)
        return folder

    def run_artifact(self, run_id: str, path: str, destination: Path) -> Path:
        """Download one artifact of a run and return where it is."""
        destination.mkdir(parents=True, exist_ok=True)
        with self._calling(f"the artifact {path} of the run {run_id}", artifacts=True):
            return self._small.fetch(run_id, path, destination) or Path(self._client.download_artifacts(run_id, path, str(destination)))

    def read_json(self, run_id: str, path: str) -> dict[str, Any]:
        """Return a JSON artifact of a run.

        Raises:
            NotFoundError, IntegrityError: The run has no such artifact, or it is no JSON object: it was changed since it was written.
        """
        with tempfile.TemporaryDirectory(prefix="passerelle-") as folder:
            content = self.run_artifact(run_id, path, Path(folder)).read_bytes()
        return parsed(content, of=f"the artifact {path} of the run {run_id}")

    def write_text(self, run_id: str, path: str, content: str) -> None:
        """Write a text artifact of a run."""
        with self._calling(f"the artifact {path} of the run {run_id}", artifacts=True):
            self._client.log_text(run_id, content, path)

    def write_json(self, run_id: str, path: str, content: Mapping[str, object]) -> None:
        """Write a JSON artifact of a run."""
        with self._calling(f"the artifact {path} of the run {run_id}", artifacts=True):
            self._client.log_dict(run_id, dict(content), path)

    def write_file(self, run_id: str, path: str, file: Path) -> None:
        """Write a file, whose name is the last part of the path, as an artifact of a run."""
        with self._calling(f"the artifact {path} of the run {run_id}", artifacts=True):
            self._client.log_artifact(run_id, str(file), path.rpartition("/")[0])

    def add_to_model(self, run_id: str, folder: Path) -> None:
        """Upload the folder, by its name, into the directory of the model that the run logged."""
        model_id = self.model_uri(run_id).removeprefix("models:/")
        with self._calling(f"the model of the run {run_id}", artifacts=True):
            self._client.log_model_artifacts(model_id, str(folder), folder.name)

    def log_day(self, ref: ModelVersionRef, figures: Mapping[str, float], *, day: date) -> str:
        """Log figures of a day, in the place of those logged before, as metrics of the version's monitoring run; return the run's id."""
        with self._calling(f"the monitoring run of {ref}"):
            return log_day(self._client, ref, figures, day=day)
