"""The footbridge from an MLflow registry to a container in production.

The ten stages, in order:

train         passerelle.training.train                fit the candidates and log each as an MLflow run
compare       passerelle.stages.compare   rank the candidates by the criteria
register      passerelle.stages.register  make the best candidate a model version
promote       passerelle.stages.promote   give a version the alias and the stage
import        passerelle.stages.import_model  bring the promoted version into the BentoML store
build         passerelle.bentos.build       build a bento that pins exactly that version
containerize  passerelle.bentos.containerize  make an OCI image of the bento
deploy        passerelle.rollout.local      start what was built and hold it to its golden predictions
serve         passerelle.serving            answer /classify
monitor       passerelle.monitoring         watch what is answered
"""

__version__ = "0.1.0"
