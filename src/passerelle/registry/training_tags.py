"""What the trainings of an experiment say by a tag."""

from __future__ import annotations

from passerelle.names import KIND
from passerelle.registry.client import Registry
from passerelle.registry.entities import all_pages


def tags_of_trainings(registry: Registry, tag: str) -> tuple[str, ...]:
    """Return this tag of each finished training of the experiment that has it, the newest first."""
    name = registry.settings.experiment
    with registry.mlflow(f"the experiment '{name}'") as client:
        found = client.get_experiment_by_name(name)
        if found is None:
            return ()
        query = f"tags.`{KIND}` = 'training' and attributes.status = 'FINISHED' and tags.`{tag}` != ''"
        runs = all_pages(client.search_runs, [found.experiment_id], query, order_by="attributes.start_time ASC")
    return tuple(str(run.data.tags[tag]) for run in reversed(runs) if tag in run.data.tags)
