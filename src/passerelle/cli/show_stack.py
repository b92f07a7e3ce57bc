"""How the results of the commands about images and the stack look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from passerelle.cli import show
from passerelle.cli.output import Output, plain, relative
from passerelle.names import CODE_REVISION

if TYPE_CHECKING:
    from pathlib import Path

    from passerelle.rollout.backup import BackupReport
    from passerelle.rollout.compose import Prepared, StackDeployment
    from passerelle.rollout.kubernetes import ClusterDeployment
    from passerelle.rollout.manifest_files import Rendered
    from passerelle.stages.containerize import Containerized
    from passerelle.stages.deploy import Deployed

_MEGABYTE = 1e6
_MEBIBYTE = 2**20


def image(output: Output, result: Containerized) -> None:
    """Show which image holds the bento, what is in it, and what a container of it did."""
    built, ran = result.built, result.ran
    if built.dry_run:
        output.line(f"would build {built.image} of {built.bento_tag} with {built.engine}")
    else:
        size = f"{(built.size_bytes or 0) / _MEGABYTE:.0f} MB, {built.packages} packages"
        did = f"built in {built.seconds:.1f} s" if built.created else f"already done ({built.seconds:.1f} s)"
        output.line(f"image {built.image}: {size}; {did}")
        if not built.with_pipeline:
            output.line("  without scikit-learn: the model is compiled")
        output.line(f"  digest {built.image.digest}")
        _code(output, built.labels)
        if built.sbom is not None:
            output.line(f"  bill of materials {relative(built.sbom)}, and /app/sbom.cdx.json inside")
    if ran is not None:
        resident = "" if ran.resident_bytes is None else f" {ran.resident_bytes / _MEBIBYTE:.0f} MiB,"
        output.line(
            f"  ran without any privilege: ready in {ran.ready_seconds:.1f} s, {ran.smoke.inputs} golden inputs answered the same,"
            f"{resident} stopped in {ran.stop_seconds:.1f} s"
        )
    if result.pushed is not None:
        output.line(f"  pushed as {result.pushed}")
    if not built.dry_run and built.engine != "buildah":
        output.line(f"try it: {built.engine} run --rm --publish 127.0.0.1:3000:3000 --env PASSERELLE_AUTH=off {built.image}")
    output.result({**plain(built), "ran": ran, "pushed": result.pushed})


def _code(output: Output, labels: Mapping[str, str]) -> None:
    """Show which revision of the serving code is in an image."""
    revision = labels.get(CODE_REVISION, "")
    if revision:
        changed = ", with files that this commit does not hold as they are: commit them" if revision.endswith("-dirty") else ""
        output.line(f"  code {revision[:12]}{changed}")


def deployed(output: Output, result: Deployed) -> None:
    """Show what was deployed, wherever it was."""
    from passerelle.rollout.compose import Prepared, StackDeployment  # noqa: PLC0415 - slow, and not for the other commands
    from passerelle.rollout.kubernetes import ClusterDeployment  # noqa: PLC0415
    from passerelle.rollout.manifest_files import Rendered  # noqa: PLC0415

    if isinstance(result, ClusterDeployment):
        cluster_deployment(output, result)
    elif isinstance(result, Rendered):
        rendered(output, result)
    elif isinstance(result, StackDeployment | Prepared):
        stack_deployment(output, result)
    else:
        show.deployment(output, result)


def stack_deployment(output: Output, result: StackDeployment | Prepared) -> None:
    """Show what the replicas of the stack serve, or that there is nothing yet."""
    from passerelle.rollout.compose import Prepared  # noqa: PLC0415 - slow, and not for the other commands

    if isinstance(result, Prepared):
        return _prepared(output, result)
    instead = f" in place of {result.replaced[:19]}" if result.replaced else ""
    if result.dry_run:
        output.line(f"would serve {result.image}{instead}" if result.changed else f"{result.image} is served already")
    elif not result.changed:
        output.line(f"already done: both replicas serve {result.image} behind {result.address}")
    else:
        output.line(f"{result.bento_tag} answers behind {result.address}{instead}: both replicas within {result.seconds:.1f} s")
    if result.smoke is not None:
        if result.smoke.inputs:
            output.line(f"{result.smoke.inputs} golden predictions in each: the same, within {result.smoke.largest_difference:.1g}")
        show.followed(output, result.following, result.smoke.model_version)
    output.result(result)


def _prepared(output: Output, result: Prepared) -> None:
    output.line(f"made the secrets {', '.join(result.secrets)}" if result.secrets else "the files of all secrets were there already")
    output.line(f"the platform runs: MLflow on {result.tracking_uri}")
    output.line(f"{result.missing}: {result.next_command}")
    output.result(result)


def cluster_deployment(output: Output, result: ClusterDeployment) -> None:
    """Show what the pods of the cluster serve."""
    instead = f" in place of {result.replaced}" if result.replaced else ""
    if result.dry_run:
        output.line(f"would roll {result.image} out to {result.where}{instead}")
    elif not result.changed:
        output.line(f"already done: {result.where} serves {result.image}")
    else:
        output.line(f"{result.where} serves {result.image}{instead}: {result.pods} pods within {result.seconds:.1f} s")
    if result.smoke is not None:
        if result.smoke.inputs:
            output.line(f"{result.smoke.inputs} golden predictions in each pod: the same, within {result.smoke.largest_difference:.1g}")
        show.followed(output, result.following, result.smoke.model_version)
    output.result(result)


def rendered(output: Output, result: Rendered) -> None:
    """Show which manifests were written, what the namespace must hold, and what to commit."""
    folder = relative(result.folder)
    if not result.written and not result.removed:
        output.line(f"already done: {folder} holds the manifests of {result.image}")
    else:
        verb = "would write" if result.dry_run else "wrote"
        also = f", and {'would remove' if result.dry_run else 'removed'} {', '.join(result.removed)}" if result.removed else ""
        output.line(f"{verb} {len(result.written)} of {len(result.files)} manifests of {result.bento_tag} to {folder}{also}")
    output.line(f"  the namespace {result.namespace} must hold the Secrets {', '.join(result.secrets)}")
    if result.unnamed_key:
        output.line(f"  records have no digest until the overlay sets {result.unnamed_key} and the Secret classify-log is there")
    if not result.dry_run:
        output.next_commands(f"git add --all {folder}; git commit --message '{result.bento_tag}'; git push")
    output.result(result)


def backup_key(output: Output, path: Path, public_key: str) -> None:
    """Show the public key of a new private key, and where that must not stay."""
    output.line(f"private key written to {relative(path)}: keep it away from the stack, and a copy of it; without it no backup is restored")
    output.line(f"  next: passerelle backup --encrypt-to {public_key}")
    output.result({"path": str(path), "public_key": public_key})


def backup(output: Output, result: BackupReport, verb: str) -> None:
    """Show what a backup holds, or what was restored from it."""
    size = f"{result.size_bytes / _MEGABYTE:.1f} MB"
    output.line(
        f"{relative(result.path)} {verb} the database of {result.created} and {result.objects} objects ({size}, {result.seconds:.1f} s)"
    )
    output.line(f"  manifest {result.digest}")
    if result.left_out:
        output.line(f"  left out: {result.left_out} objects that are neither below mlflow/ nor below ledger/")
    for sentence in result.broken_ledgers:
        output.line(f"  {sentence}")
    output.result(result)
