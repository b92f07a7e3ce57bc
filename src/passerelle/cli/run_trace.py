"""What `trace` puts together: the registry's links, the store's and the container engine's."""

from __future__ import annotations

from collections.abc import Iterator

from passerelle.bentos.engine import find_image, labels_of, newest_image
from passerelle.bentos.store import Store
from passerelle.cli.connect import Surroundings, open_registry, surroundings
from passerelle.names import BENTO_TAG_LABEL, CODE_DIGEST, BentoTag
from passerelle.stages.trace import Link, Trace, find_version, links_of


def trace(registered_model: str | None, asked: str) -> Trace:
    """Return the chain of what was asked for, from the answer to the data.

    Raises:
        NotFoundError: Nothing of the registered model is known by that name.
    """
    here = surroundings(registered_model=registered_model)
    registry = open_registry(here)
    asked = asked.rpartition("://")[2]  # Kubernetes writes docker-pullable:// in front of some
    kind, version = find_version(registry, asked, labels_of(asked) if ":" in asked or "/" in asked else None)
    first = (Link("prediction", asked, "its first eight characters are the run's"),) if kind == "prediction" else ()
    built = tuple(_built(here, version.ref.bento_model_tag, asked if kind == "image" else None))
    return Trace(asked, kind, version.ref.version, (*first, *built, *links_of(registry, version, here.signing)))


def _built(here: Surroundings, tag: BentoTag, image: str | None) -> Iterator[Link]:
    store = Store(here.store)
    newest = None if image else newest_image(BENTO_TAG_LABEL, [str(tag)])
    name = image or (newest[0] if newest else f"passerelle/{tag}")
    digest = find_image(name)
    yield Link("image", name if digest else None, digest or f"no engine here holds {name}: passerelle containerize")
    bento = store.bento(tag)
    yield Link("bento", str(tag) if bento else None, f"code {bento.info.labels.get(CODE_DIGEST, '')}" if bento else "passerelle build")
    model = store.model(tag)
    yield Link("bento model", str(tag) if model else None, "" if model else "passerelle import")
