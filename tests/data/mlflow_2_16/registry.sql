BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('4465047574b1');
CREATE TABLE datasets (
	dataset_uuid VARCHAR(36) NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	name VARCHAR(500) NOT NULL, 
	digest VARCHAR(36) NOT NULL, 
	dataset_source_type VARCHAR(36) NOT NULL, 
	dataset_source TEXT NOT NULL, 
	dataset_schema TEXT, 
	dataset_profile TEXT, 
	CONSTRAINT dataset_pk PRIMARY KEY (experiment_id, name, digest), 
	FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id)
);
INSERT INTO "datasets" VALUES('475fdc56250746159b4807de185111d3',1,'dataset','bb8feece','code','{"tags": {"mlflow.user": "root", "mlflow.source.name": "notebook.py", "mlflow.source.type": "LOCAL"}}','{"mlflow_colspec": [{"type": "long", "name": "age", "required": true}, {"type": "double", "name": "share", "required": true}]}','{"num_rows": 20, "num_elements": 40}');
CREATE TABLE experiment_tags (
	"key" VARCHAR(250) NOT NULL, 
	value VARCHAR(5000), 
	experiment_id INTEGER NOT NULL, 
	CONSTRAINT experiment_tag_pk PRIMARY KEY ("key", experiment_id), 
	FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id)
);
CREATE TABLE experiments (
	experiment_id INTEGER NOT NULL, 
	name VARCHAR(256) NOT NULL, 
	artifact_location VARCHAR(256), 
	lifecycle_stage VARCHAR(32), creation_time BIGINT, last_update_time BIGINT, 
	CONSTRAINT experiment_pk PRIMARY KEY (experiment_id), 
	CONSTRAINT experiments_lifecycle_stage CHECK (lifecycle_stage IN ('active', 'deleted')), 
	UNIQUE (name)
);
INSERT INTO "experiments" VALUES(0,'Default','/srv/team/mlruns/0','active',1795735789034,1795735789034);
INSERT INTO "experiments" VALUES(1,'notebooks','s3://passerelle/of-mlflow-2','active',1795735789056,1795735789056);
CREATE TABLE input_tags (
	input_uuid VARCHAR(36) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	value VARCHAR(500) NOT NULL, 
	CONSTRAINT input_tags_pk PRIMARY KEY (input_uuid, name)
);
INSERT INTO "input_tags" VALUES('a120678f65964148a7a13be93949a69e','mlflow.data.context','train');
CREATE TABLE inputs (
	input_uuid VARCHAR(36) NOT NULL, 
	source_type VARCHAR(36) NOT NULL, 
	source_id VARCHAR(36) NOT NULL, 
	destination_type VARCHAR(36) NOT NULL, 
	destination_id VARCHAR(36) NOT NULL, 
	CONSTRAINT inputs_pk PRIMARY KEY (source_type, source_id, destination_type, destination_id)
);
INSERT INTO "inputs" VALUES('a120678f65964148a7a13be93949a69e','DATASET','475fdc56250746159b4807de185111d3','RUN','aac1af65842941d28260dbe8355411e4');
CREATE TABLE "latest_metrics" (
	"key" VARCHAR(250) NOT NULL, 
	value FLOAT NOT NULL, 
	timestamp BIGINT, 
	step BIGINT NOT NULL, 
	is_nan BOOLEAN NOT NULL, 
	run_uuid VARCHAR(32) NOT NULL, 
	CONSTRAINT latest_metric_pk PRIMARY KEY ("key", run_uuid), 
	FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid), 
	CHECK (is_nan IN (0, 1))
);
INSERT INTO "latest_metrics" VALUES('training_precision_score',0.5,1795735792098,0,0,'aac1af65842941d28260dbe8355411e4');
INSERT INTO "latest_metrics" VALUES('training_recall_score',0.5,1795735792098,0,0,'aac1af65842941d28260dbe8355411e4');
INSERT INTO "latest_metrics" VALUES('training_f1_score',0.5,1795735792098,0,0,'aac1af65842941d28260dbe8355411e4');
INSERT INTO "latest_metrics" VALUES('training_accuracy_score',0.5,1795735792098,0,0,'aac1af65842941d28260dbe8355411e4');
INSERT INTO "latest_metrics" VALUES('training_log_loss',6.89379427969491809236e-01,1795735792098,0,0,'aac1af65842941d28260dbe8355411e4');
INSERT INTO "latest_metrics" VALUES('training_roc_auc',0.55,1795735792098,0,0,'aac1af65842941d28260dbe8355411e4');
INSERT INTO "latest_metrics" VALUES('training_score',0.5,1795735796209,0,0,'aac1af65842941d28260dbe8355411e4');
CREATE TABLE "metrics" (
	"key" VARCHAR(250) NOT NULL, 
	value FLOAT NOT NULL, 
	timestamp BIGINT NOT NULL, 
	run_uuid VARCHAR(32) NOT NULL, 
	step BIGINT DEFAULT '0' NOT NULL, 
	is_nan BOOLEAN DEFAULT '0' NOT NULL, 
	CONSTRAINT metric_pk PRIMARY KEY ("key", timestamp, step, run_uuid, value, is_nan), 
	FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid), 
	CHECK (is_nan IN (0, 1))
);
INSERT INTO "metrics" VALUES('training_precision_score',0.5,1795735792098,'aac1af65842941d28260dbe8355411e4',0,0);
INSERT INTO "metrics" VALUES('training_recall_score',0.5,1795735792098,'aac1af65842941d28260dbe8355411e4',0,0);
INSERT INTO "metrics" VALUES('training_f1_score',0.5,1795735792098,'aac1af65842941d28260dbe8355411e4',0,0);
INSERT INTO "metrics" VALUES('training_accuracy_score',0.5,1795735792098,'aac1af65842941d28260dbe8355411e4',0,0);
INSERT INTO "metrics" VALUES('training_log_loss',6.89379427969491809236e-01,1795735792098,'aac1af65842941d28260dbe8355411e4',0,0);
INSERT INTO "metrics" VALUES('training_roc_auc',0.55,1795735792098,'aac1af65842941d28260dbe8355411e4',0,0);
INSERT INTO "metrics" VALUES('training_score',0.5,1795735796209,'aac1af65842941d28260dbe8355411e4',0,0);
CREATE TABLE model_version_tags (
	"key" VARCHAR(250) NOT NULL, 
	value VARCHAR(5000), 
	name VARCHAR(256) NOT NULL, 
	version INTEGER NOT NULL, 
	CONSTRAINT model_version_tag_pk PRIMARY KEY ("key", name, version), 
	FOREIGN KEY(name, version) REFERENCES model_versions (name, version) ON UPDATE cascade
);
CREATE TABLE "model_versions" (
	name VARCHAR(256) NOT NULL, 
	version INTEGER NOT NULL, 
	creation_time BIGINT, 
	last_updated_time BIGINT, 
	description VARCHAR(5000), 
	user_id VARCHAR(256), 
	current_stage VARCHAR(20), 
	source VARCHAR(500), 
	run_id VARCHAR(32), 
	status VARCHAR(20), 
	status_message VARCHAR(500), 
	run_link VARCHAR(500), storage_location VARCHAR(500), 
	CONSTRAINT model_version_pk PRIMARY KEY (name, version), 
	FOREIGN KEY(name) REFERENCES registered_models (name) ON UPDATE CASCADE
);
INSERT INTO "model_versions" VALUES('applications',1,1795735813257,1795735815662,NULL,NULL,'Production','s3://passerelle/of-mlflow-2/aac1af65842941d28260dbe8355411e4/artifacts/model','aac1af65842941d28260dbe8355411e4','READY',NULL,NULL,'s3://passerelle/of-mlflow-2/aac1af65842941d28260dbe8355411e4/artifacts/model');
INSERT INTO "model_versions" VALUES('applications',2,1795735815890,1795735815890,NULL,NULL,'None','s3://passerelle/of-mlflow-2/c1cb90ca2a2f4f0b8219c8ce57d5a86f/artifacts/models/steps','c1cb90ca2a2f4f0b8219c8ce57d5a86f','READY',NULL,NULL,'s3://passerelle/of-mlflow-2/c1cb90ca2a2f4f0b8219c8ce57d5a86f/artifacts/models/steps');
CREATE TABLE "params" (
	"key" VARCHAR(250) NOT NULL, 
	value VARCHAR(8000) NOT NULL, 
	run_uuid VARCHAR(32) NOT NULL, 
	CONSTRAINT param_pk PRIMARY KEY ("key", run_uuid), 
	FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid)
);
INSERT INTO "params" VALUES('C','1.0','aac1af65842941d28260dbe8355411e4');
INSERT INTO "params" VALUES('class_weight','None','aac1af65842941d28260dbe8355411e4');
INSERT INTO "params" VALUES('dual','False','aac1af65842941d28260dbe8355411e4');
INSERT INTO "params" VALUES('fit_intercept','True','aac1af65842941d28260dbe8355411e4');
INSERT INTO "params" VALUES('intercept_scaling','1','aac1af65842941d28260dbe8355411e4');
INSERT INTO "params" VALUES('l1_ratio','0.0','aac1af65842941d28260dbe8355411e4');
INSERT INTO "params" VALUES('max_iter','100','aac1af65842941d28260dbe8355411e4');
INSERT INTO "params" VALUES('n_jobs','None','aac1af65842941d28260dbe8355411e4');
INSERT INTO "params" VALUES('penalty','deprecated','aac1af65842941d28260dbe8355411e4');
INSERT INTO "params" VALUES('random_state','None','aac1af65842941d28260dbe8355411e4');
INSERT INTO "params" VALUES('solver','lbfgs','aac1af65842941d28260dbe8355411e4');
INSERT INTO "params" VALUES('tol','0.0001','aac1af65842941d28260dbe8355411e4');
INSERT INTO "params" VALUES('verbose','0','aac1af65842941d28260dbe8355411e4');
INSERT INTO "params" VALUES('warm_start','False','aac1af65842941d28260dbe8355411e4');
CREATE TABLE registered_model_aliases (
	alias VARCHAR(256) NOT NULL, 
	version INTEGER NOT NULL, 
	name VARCHAR(256) NOT NULL, 
	CONSTRAINT registered_model_alias_pk PRIMARY KEY (name, alias), 
	CONSTRAINT registered_model_alias_name_fkey FOREIGN KEY(name) REFERENCES registered_models (name) ON DELETE cascade ON UPDATE cascade
);
CREATE TABLE registered_model_tags (
	"key" VARCHAR(250) NOT NULL, 
	value VARCHAR(5000), 
	name VARCHAR(256) NOT NULL, 
	CONSTRAINT registered_model_tag_pk PRIMARY KEY ("key", name), 
	FOREIGN KEY(name) REFERENCES registered_models (name) ON UPDATE cascade
);
CREATE TABLE registered_models (
	name VARCHAR(256) NOT NULL, 
	creation_time BIGINT, 
	last_updated_time BIGINT, 
	description VARCHAR(5000), 
	CONSTRAINT registered_model_pk PRIMARY KEY (name), 
	UNIQUE (name)
);
INSERT INTO "registered_models" VALUES('applications',1795735813202,1795735815890,NULL);
CREATE TABLE "runs" (
	run_uuid VARCHAR(32) NOT NULL, 
	name VARCHAR(250), 
	source_type VARCHAR(20), 
	source_name VARCHAR(500), 
	entry_point_name VARCHAR(50), 
	user_id VARCHAR(256), 
	status VARCHAR(9), 
	start_time BIGINT, 
	end_time BIGINT, 
	source_version VARCHAR(50), 
	lifecycle_stage VARCHAR(20), 
	artifact_uri VARCHAR(200), 
	experiment_id INTEGER, deleted_time BIGINT, 
	CONSTRAINT run_pk PRIMARY KEY (run_uuid), 
	CONSTRAINT runs_lifecycle_stage CHECK (lifecycle_stage IN ('active', 'deleted')), 
	CONSTRAINT source_type CHECK (source_type IN ('NOTEBOOK', 'JOB', 'LOCAL', 'UNKNOWN', 'PROJECT')), 
	FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id), 
	CHECK (status IN ('SCHEDULED', 'FAILED', 'FINISHED', 'RUNNING', 'KILLED'))
);
INSERT INTO "runs" VALUES('aac1af65842941d28260dbe8355411e4','suave-kit-131','UNKNOWN','','','root','FINISHED',1795735791748,1795735815553,'','active','s3://passerelle/of-mlflow-2/aac1af65842941d28260dbe8355411e4/artifacts',1,NULL);
INSERT INTO "runs" VALUES('c1cb90ca2a2f4f0b8219c8ce57d5a86f','polite-midge-237','UNKNOWN','','','root','FINISHED',1795735815702,1795735815946,'','active','s3://passerelle/of-mlflow-2/c1cb90ca2a2f4f0b8219c8ce57d5a86f/artifacts',1,NULL);
CREATE TABLE "tags" (
	"key" VARCHAR(250) NOT NULL, 
	value VARCHAR(5000), 
	run_uuid VARCHAR(32) NOT NULL, 
	CONSTRAINT tag_pk PRIMARY KEY ("key", run_uuid), 
	FOREIGN KEY(run_uuid) REFERENCES runs (run_uuid)
);
INSERT INTO "tags" VALUES('mlflow.user','root','aac1af65842941d28260dbe8355411e4');
INSERT INTO "tags" VALUES('mlflow.source.name','notebook.py','aac1af65842941d28260dbe8355411e4');
INSERT INTO "tags" VALUES('mlflow.source.type','LOCAL','aac1af65842941d28260dbe8355411e4');
INSERT INTO "tags" VALUES('mlflow.runName','suave-kit-131','aac1af65842941d28260dbe8355411e4');
INSERT INTO "tags" VALUES('estimator_name','LogisticRegression','aac1af65842941d28260dbe8355411e4');
INSERT INTO "tags" VALUES('estimator_class','sklearn.linear_model._logistic.LogisticRegression','aac1af65842941d28260dbe8355411e4');
INSERT INTO "tags" VALUES('mlflow.log-model.history','[{"run_id": "aac1af65842941d28260dbe8355411e4", "artifact_path": "model", "utc_time_created": "2026-11-26 23:29:56.238096", "model_uuid": "d505d129cfe24f41be63d81d4bd2d57b", "flavors": {"python_function": {"model_path": "model.pkl", "predict_fn": "predict", "loader_module": "mlflow.sklearn", "python_version": "3.11.7", "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}}, "sklearn": {"pickled_model": "model.pkl", "sklearn_version": "1.9.1", "serialization_format": "cloudpickle", "code": null}}}]','aac1af65842941d28260dbe8355411e4');
INSERT INTO "tags" VALUES('mlflow.user','root','c1cb90ca2a2f4f0b8219c8ce57d5a86f');
INSERT INTO "tags" VALUES('mlflow.source.name','notebook.py','c1cb90ca2a2f4f0b8219c8ce57d5a86f');
INSERT INTO "tags" VALUES('mlflow.source.type','LOCAL','c1cb90ca2a2f4f0b8219c8ce57d5a86f');
INSERT INTO "tags" VALUES('mlflow.runName','polite-midge-237','c1cb90ca2a2f4f0b8219c8ce57d5a86f');
INSERT INTO "tags" VALUES('mlflow.log-model.history','[{"run_id": "c1cb90ca2a2f4f0b8219c8ce57d5a86f", "artifact_path": "models/steps", "utc_time_created": "2026-11-26 23:30:15.755750", "model_uuid": "51462c09f5b443dfa7370baa7f0c2ddd", "flavors": {"python_function": {"streamable": false, "cloudpickle_version": "3.1.3", "python_model": "python_model.pkl", "loader_module": "mlflow.pyfunc.model", "python_version": "3.11.7", "env": {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}, "code": null}}}]','c1cb90ca2a2f4f0b8219c8ce57d5a86f');
CREATE TABLE trace_info (
	request_id VARCHAR(50) NOT NULL, 
	experiment_id INTEGER NOT NULL, 
	timestamp_ms BIGINT NOT NULL, 
	execution_time_ms BIGINT, 
	status VARCHAR(50) NOT NULL, 
	CONSTRAINT trace_info_pk PRIMARY KEY (request_id), 
	CONSTRAINT fk_trace_info_experiment_id FOREIGN KEY(experiment_id) REFERENCES experiments (experiment_id)
);
CREATE TABLE "trace_request_metadata" (
	"key" VARCHAR(250) NOT NULL, 
	value VARCHAR(8000), 
	request_id VARCHAR(50) NOT NULL, 
	CONSTRAINT trace_request_metadata_pk PRIMARY KEY ("key", request_id), 
	CONSTRAINT fk_trace_request_metadata_request_id FOREIGN KEY(request_id) REFERENCES trace_info (request_id) ON DELETE CASCADE
);
CREATE TABLE "trace_tags" (
	"key" VARCHAR(250) NOT NULL, 
	value VARCHAR(8000), 
	request_id VARCHAR(50) NOT NULL, 
	CONSTRAINT trace_tag_pk PRIMARY KEY ("key", request_id), 
	CONSTRAINT fk_trace_tags_request_id FOREIGN KEY(request_id) REFERENCES trace_info (request_id) ON DELETE CASCADE
);
CREATE INDEX index_metrics_run_uuid ON metrics (run_uuid);
CREATE INDEX index_latest_metrics_run_uuid ON latest_metrics (run_uuid);
CREATE INDEX index_tags_run_uuid ON tags (run_uuid);
CREATE INDEX index_datasets_dataset_uuid ON datasets (dataset_uuid);
CREATE INDEX index_datasets_experiment_id_dataset_source_type ON datasets (experiment_id, dataset_source_type);
CREATE INDEX index_inputs_input_uuid ON inputs (input_uuid);
CREATE INDEX index_inputs_destination_type_destination_id_source_type ON inputs (destination_type, destination_id, source_type);
CREATE INDEX index_params_run_uuid ON params (run_uuid);
CREATE INDEX index_trace_info_experiment_id_timestamp_ms ON trace_info (experiment_id, timestamp_ms);
CREATE INDEX index_trace_tags_request_id ON trace_tags (request_id);
CREATE INDEX index_trace_request_metadata_request_id ON trace_request_metadata (request_id);
COMMIT;
