"""From an MLflow registry to a container in production.

The ten stages, in order; each module has a function `run`, which the command of its name calls:

train         passerelle.stages.train         fit the candidates and log each as an MLflow run
compare       passerelle.stages.compare       rank the candidates by the criteria
register      passerelle.stages.register      make the best candidate a model version
promote       passerelle.stages.promote       give a version the alias and the stage
import        passerelle.stages.import_model  bring the promoted version into the BentoML store
build         passerelle.stages.build         build a bento that pins exactly that version
containerize  passerelle.stages.containerize  make an OCI image of the bento
deploy        passerelle.stages.deploy        start what was built and hold it to its golden predictions
serve         passerelle.stages.serve         answer /classify
monitor       passerelle.stages.monitor       watch what is answered
"""

__version__ = "0.1.0"
