"""The BentoML service: one pinned bento model behind /classify, or /predict where it is no classifier.

In development `bentoml serve` takes the version imported last of the project's model, or with `--arg model=NAME` of another one; a bento is
built with `--arg model=<tag>` and holds exactly one version.
"""

from __future__ import annotations

from pathlib import Path

import bentoml
from pydantic import BaseModel

from passerelle.bentos.service_image import ServiceImage
from passerelle.follow_settings import FollowSettings
from passerelle.serving.apis import answering
from passerelle.serving.default_model import model_of_environment
from passerelle.serving.endpoint import ClassifyEndpoint
from passerelle.serving.failure import plain_errors
from passerelle.serving.following.start import load_and_follow
from passerelle.serving.install import install_endpoint
from passerelle.serving.pages.mount import mounted
from passerelle.serving.runtime import Runtime
from passerelle.serving.settings_check import check_settings
from passerelle.serving.supervisor import before_workers
from passerelle.settings import ServiceSettings


class Arguments(BaseModel):
    """What a build pins."""

    model: str = model_of_environment("classification:latest")


ARGUMENTS = bentoml.use_arguments(Arguments)
with plain_errors():
    SETTINGS, FOLLOW = ServiceSettings.read(), FollowSettings.read()
    # Reads the signature, for the schema; the model itself is loaded by each worker.
    RUNTIME = Runtime.or_refused(Path(bentoml.models.get(ARGUMENTS.model).path), SETTINGS)
    check_settings(RUNTIME, FOLLOW)


@bentoml.service(
    name="classification",
    # Our own base image without BentoML's layer of compilers; `distro="custom"` is what leaves it out.
    image=ServiceImage(base_image="python:3.11-slim", distro="custom", lock_python_packages=False),
    workers=SETTINGS.workers,
    # Each of these costs more per request than the prediction; the endpoint has its own.
    metrics={"enabled": False},
    tracing={"excluded_urls": ".*"},
    logging={"access": {"enabled": False}},
    traffic={"timeout": 60},
)
@bentoml.asgi_app(mounted(RUNTIME))
@answering(RUNTIME)
class Classifier:
    """Answers records with exactly one version of one registered model."""

    model = bentoml.models.BentoModel(ARGUMENTS.model)

    def __init__(self) -> None:
        load_and_follow(RUNTIME, FOLLOW)

    @bentoml.on_deployment
    @staticmethod
    def before_the_workers() -> None:
        """Prepare what the workers share."""
        before_workers(SETTINGS.workers)


install_endpoint(Classifier, lambda app: ClassifyEndpoint(app, runtime=RUNTIME))
