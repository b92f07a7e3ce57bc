"""Which version each place holds, what disagrees, and the command that resolves it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from passerelle.bentos.engine import newest_image
from passerelle.bentos.store import Store, bentos_of, latest_bento, latest_bento_model
from passerelle.errors import SettingsError
from passerelle.follow_settings import FollowSettings
from passerelle.names import BENTO_TAG_LABEL, VERSION_LABEL, BentoTag
from passerelle.registry.chain import LedgerFault, moves
from passerelle.registry.client import PRODUCTION_STAGE, Registry
from passerelle.registry.production import Standing, standing
from passerelle.registry.verified import History, broken, history, put_back
from passerelle.rollout.following import Following, following_of
from passerelle.rollout.service_state import running_service
from passerelle.serving.following.target import targets
from passerelle.settings import MlflowSettings, SigningSettings, StoreSettings
from passerelle.stages.candidate_status import candidate_disagreements
from passerelle.stages.champion_status import missing_champion, way_on
from passerelle.stages.context import Context, stage
from passerelle.stages.hints import about_model
from passerelle.stages.known_models import known_models
from passerelle.stages.service_readiness import ServiceFollows, ServiceReadiness, service_readiness


@dataclass(frozen=True)
class Holdings:
    """What each place holds; None for nothing.

    Attributes:
        alias: Version that holds the alias.
        previous: Version that a rollback goes to.
        stage: Versions in the stage Production.
        ledger: Version that the ledger's last entry put into production; None where the ledger is broken.
        bento_model: Tag of the version in production in the BentoML store, or of the one imported last.
        bento: Tag of the bento of the version in production, or of the one built last.
        image: Name of the image of the version in production, or of the one made last of a bento in the store.
        image_version: The version that it holds.
        service: Version that the running service serves.
        service_silent: Why none is known of a service whose address is: what went wrong when it was asked.
        follows: Where following the registry stands, as the service says; None for one that serves a pinned version.
        others: Likewise of further registered models that it follows.
        candidate: Likewise of its candidate; None for a service that follows none.
        golden_origin: Where the inputs of an adopted version in production come from; None for one that was trained here.
    """

    registered_model: str
    alias: int | None
    previous: int | None
    stage: tuple[int, ...]
    ledger: int | None
    bento_model: str | None
    bento: str | None
    service: int | None
    service_address: str | None
    image: str | None = None
    image_version: int | None = None
    service_silent: str | None = None
    follows: ServiceFollows | None = None
    others: tuple[ServiceFollows, ...] = ()
    candidate: ServiceFollows | None = None
    golden_origin: str | None = None


@dataclass(frozen=True)
class Disagreement:
    """Two places that hold different versions, and the command that resolves it."""

    what: str
    command: str


@dataclass(frozen=True)
class Status:
    """The state of all places.

    Attributes:
        ledger_findings: Where the ledger is broken; no command is named then that moves production or follows it.
        following: What the service follows by the settings here; None for nothing.
    """

    holdings: Holdings
    disagreements: tuple[Disagreement, ...]
    ledger_findings: tuple[LedgerFault, ...] = ()
    following: Following | None = None


@stage
def run(context: Context, *, only_model: bool = True) -> Status:
    """Return which version of the context's registered model the alias, the stage, the store and the service hold, and what disagrees.

    Args:
        only_model: Whether it is the only one that is shown: the commands need not name it then.

    Raises:
        OutsideError: MLflow or S3 does not answer.
    """
    registry = context.registry
    name = registry.settings.registered_model
    running = running_service(context.state.state_dir, name)
    given = context.client.service_address
    address = given or (running.address if running else None)
    tag, store = _production_tag(registry), Store(context.store)
    in_production = tag if tag and store.model(tag) else None
    found = gather(
        registry,
        bento_model=in_production or latest_bento_model(context.store, name),
        bento=in_production if in_production and store.bento(in_production) else latest_bento(context.store, name),
        service=service_readiness(address) if address else None,
        service_address=address,
        image=_image(context.store, name, in_production),
        deploy="passerelle deploy --target compose" if given else "passerelle deploy",
        signing=context.signing,
    )
    settings = FollowSettings.read()
    wrong = () if found.ledger_findings else tuple(_of_settings(settings, registry.settings))
    disagreements = (*found.disagreements, *wrong)
    if not only_model:
        disagreements = tuple(replace(each, command=about_model(each.command, name)) for each in disagreements)
    return replace(found, following=following_of(settings), disagreements=disagreements)


def all_models(context: Context, project: Path = Path()) -> tuple[Status, ...]:
    """Return the state of each registered model that is known here: of the project, in the store, or served.

    The service's address of the settings is that of the first, which the settings name too.

    Raises:
        OutsideError: MLflow or S3 does not answer.
    """
    first, *others = known_models(context, project).values()
    client = context.client.model_copy(update={"service_address": None})
    found = run(first, only_model=not others)
    return found, *(run(replace(other, client=client), only_model=False) for other in others)


def _of_settings(settings: FollowSettings, server: MlflowSettings) -> Iterator[Disagreement]:
    """Yield what would end a service at its start: `deploy` gives it these settings, and the server's address where they name none."""
    given = settings if settings.follow_tracking_uri else settings.model_copy(update={"follow_tracking_uri": server.tracking_uri})
    try:
        targets(given, server.registered_model)
    except SettingsError as error:
        yield Disagreement(f"no service can start: {error.message}", error.hint or "passerelle doctor")


def _image(store: StoreSettings, registered_model: str, in_production: BentoTag | None) -> tuple[str, int] | None:
    """Return the image of the version in production, or else the one that was made last of a bento in the store, and the version inside.

    After a rollback the engine holds the former image already: it is older than the one that was taken back, and the right one.
    """
    label = BENTO_TAG_LABEL
    newest = newest_image(label, [str(in_production)]) if in_production else None
    found = newest or newest_image(label, [str(tag) for tag in bentos_of(store, registered_model)])
    version = found[1].get(VERSION_LABEL, "") if found else ""
    return (found[0], int(version)) if found and version.isdigit() else None


def _production_tag(registry: Registry) -> BentoTag | None:
    """Return the tag that bento model and bento of the version in production have; after a rollback the store holds newer ones too."""
    name = registry.settings.registered_model
    version = registry.aliases(name).get(registry.settings.alias)
    return None if version is None else registry.model_version(name, version).ref.bento_model_tag


def gather(
    registry: Registry,
    *,
    bento_model: BentoTag | None,
    bento: BentoTag | None,
    service: ServiceReadiness | None,
    service_address: str | None,
    image: tuple[str, int] | None = None,
    deploy: str = "passerelle deploy",
    signing: SigningSettings | None = None,
) -> Status:
    """Return where everything stands; the store, the engine and the service are looked at by the caller, which knows where they are.

    Args:
        service: What the running service says; None without one.
        image: Name of an image, and the version that it holds.
        deploy: Command that brings the service up to date.
        signing: What the ledger is verified with.
    """
    name = registry.settings.registered_model
    found, now, service = history(registry, name, signing), standing(registry, name), service or ServiceReadiness()
    holdings = Holdings(
        registered_model=name,
        alias=now.production,
        previous=now.previous,
        stage=tuple(sorted(version for version, stage in now.stages.items() if stage == PRODUCTION_STAGE)),
        ledger=_in_production(found),
        bento_model=str(bento_model) if bento_model else None,
        bento=str(bento) if bento else None,
        service=service.version,
        service_address=service_address,
        image=image[0] if image else None,
        image_version=image[1] if image else None,
        service_silent=service.silent,
        follows=service.follows,
        others=service.others,
        candidate=service.candidate,
        golden_origin=now.golden_origins.get(now.production) if now.production else None,
    )
    return _status(registry, holdings, found, now, deploy)


def _status(registry: Registry, holdings: Holdings, found: History, now: Standing, deploy: str) -> Status:
    if found.findings:
        error = broken(holdings.registered_model, found.findings)
        command = way_on(found, now) if found.unanchored else "passerelle history --verify"
        return Status(holdings, (Disagreement(error.message, command),), found.findings)
    missing = missing_champion(found, now)
    if missing is not None:
        # What the ledger has in production is not there to be put back.
        others = disagreements(replace(holdings, ledger=holdings.alias), deploy=deploy)
        return Status(holdings, (Disagreement(*missing), *others))
    command = f"passerelle promote --version {holdings.ledger}" if holdings.ledger else "passerelle history --verify"
    was_put_back = put_back(registry, holdings.registered_model, found.entries)
    if was_put_back:
        # What alias and stage hold may be what somebody put there with it: no command makes the rest agree with that.
        return Status(holdings, (Disagreement(was_put_back, "passerelle history --verify"),))
    of_head = (Disagreement(found.damaged_head, command),) if found.damaged_head else ()
    of_candidate = (Disagreement(*each) for each in candidate_disagreements(registry, found, holdings.ledger))
    return Status(holdings, (*disagreements(holdings, deploy=deploy), *of_head, *of_candidate))


def _in_production(found: History) -> int | None:
    moved = moves(found.entries)
    return (moved[-1].to_version or None) if moved and not found.findings else None


def disagreements(holdings: Holdings, *, deploy: str = "passerelle deploy") -> tuple[Disagreement, ...]:
    """Return what does not agree with the alias, which decides."""
    found = list(_of_the_registry(holdings))
    if holdings.alias is not None and holdings.follows is None:
        found += _of_a_pinned_version(holdings, holdings.alias)
    if holdings.alias is not None and holdings.service is None and holdings.service_silent is not None:
        what = f"version {holdings.alias} is in production and the service at {holdings.service_address} {holdings.service_silent}"
        found.append(Disagreement(what, deploy))
    elif holdings.follows is None and holdings.service is not None and holdings.alias not in (None, holdings.service):
        found.append(Disagreement(f"the service serves version {holdings.service}, production is version {holdings.alias}", deploy))
    following = (holdings.follows, *holdings.others, holdings.candidate)
    return (*found, *(what for follows in following for what in _of_following(follows)))


def _of_a_pinned_version(holdings: Holdings, alias: int) -> Iterator[Disagreement]:
    """Yield what holds another version; a service that follows does not answer from the store, the bento or the image."""
    imported = holdings.bento_model is not None and _version_of(holdings.bento_model) == alias
    if holdings.bento_model is not None and not imported:
        yield Disagreement(f"the store holds {holdings.bento_model}, production is version {alias}", "passerelle import")
    if holdings.bento is not None and _version_of(holdings.bento) != alias:
        # Without the tag, `build` takes the version imported last, which is not always the one in production.
        command = f"passerelle build {holdings.bento_model}" if imported else "passerelle build"
        yield Disagreement(f"the bento is {holdings.bento}, production is version {alias}", command)
    if holdings.image is not None and holdings.image_version != alias:
        yield Disagreement(f"the image is {holdings.image}, production is version {alias}", "passerelle containerize")


def _of_following(follows: ServiceFollows | None) -> Iterator[Disagreement]:
    if follows is not None and follows.message:
        yield Disagreement(f"the service does not follow {follows.alias} ({follows.code}): {follows.message}", follows.hint)


def _of_the_registry(holdings: Holdings) -> Iterator[Disagreement]:
    """Yield what alias, stage and ledger disagree about; one command mends all of it."""
    stages = ", ".join(map(str, holdings.stage)) or "none"
    if holdings.ledger is not None and holdings.ledger != holdings.alias:
        where = f"the alias holds {f'version {holdings.alias}' if holdings.alias else 'none'} and the stage {stages}"
        what = f"{where}, the ledger's last entry {holdings.ledger}: it was moved by hand, or a promotion was interrupted"
        yield Disagreement(what, f"passerelle rollback --version {holdings.ledger}")
    elif holdings.alias is None and holdings.stage:
        yield Disagreement("a version is in the stage and none holds the alias", f"passerelle promote --version {holdings.stage[-1]}")
    elif holdings.alias is None and holdings.service is not None:
        yield Disagreement("a service runs and no version is in production", "passerelle promote")
    elif holdings.alias is not None and holdings.ledger is None:
        yield Disagreement(
            f"the alias holds version {holdings.alias}, which no promotion put there", f"passerelle promote --version {holdings.alias}"
        )
    elif holdings.alias is not None and holdings.stage != (holdings.alias,):
        yield Disagreement(
            f"the alias holds version {holdings.alias}, the stage {stages}", f"passerelle rollback --version {holdings.alias}"
        )


def _version_of(tag: str) -> int | None:
    number = tag.partition(":")[2].partition("-")[0]
    return int(number) if number.isdigit() else None
