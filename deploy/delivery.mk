# From the version in production to a deployment by digest: what CI calls, and what can be typed. docs/ci.md describes the variables.
# The Makefile that includes this sets PASSERELLE, UV and ENVIRONMENT, the target that makes the environment.
#: The one that `passerelle containerize` takes: the first that answers.
ENGINE ?= $(shell for engine in docker podman buildah; do if "$$engine" info >/dev/null 2>&1; then echo "$$engine"; break; fi; done)
#: GitHub's file for the outputs of a step; elsewhere a file that GitLab reads as a `dotenv` report.
OUTPUTS ?= $(or $(GITHUB_OUTPUT),image.env)
OVERLAY ?= production
need = @$(foreach name,$(1),test -n "$${$(name):-}" || { echo "$(name) is not set" >&2; exit 2; };)
# Variables of the command line and of the environment reach the commands by themselves; defaults do not.
image: export OUTPUTS := $(OUTPUTS)
roll-out: export OVERLAY := $(OVERLAY)

.PHONY: engine login image scan roll-out

engine:  ## install buildah, which needs no daemon, where no container engine answers; needs Debian and root
	@test -n "$(ENGINE)" || { apt-get update -qq && apt-get install -y -qq --no-install-recommends buildah >/dev/null; }
	@echo "container engine: $(or $(ENGINE),buildah)"

login:  ## REGISTRY=… REGISTRY_USER=…, REGISTRY_PASSWORD in the environment: log the container engine in
	$(call need,REGISTRY REGISTRY_USER REGISTRY_PASSWORD)
	@test -n "$(ENGINE)" || { echo "no container engine answers; next: make engine" >&2; exit 3; }
	@printf %s "$$REGISTRY_PASSWORD" | $(ENGINE) login --username "$$REGISTRY_USER" --password-stdin "$$REGISTRY"

image: $(ENVIRONMENT)  ## IMAGE=registry/name:tag: import the version in production, build, containerize, replay the golden inputs and push
	$(call need,IMAGE)
	$(PASSERELLE) import
	$(PASSERELLE) build
	$(PASSERELLE) containerize --image "$$IMAGE" --push --outputs "$$OUTPUTS" --sbom sbom.cdx.json

scan: $(ENVIRONMENT)  ## look for known vulnerabilities in the locked packages, and with grype, where it is installed, in sbom.cdx.json
	$(UV) tool run --from pip-audit==2.10.1 pip-audit --disable-pip --require-hashes --requirement requirements/service.txt
	@if ! command -v grype >/dev/null; then echo "grype is not installed: the packages of Debian in the image were not scanned"; \
	elif [ ! -f sbom.cdx.json ]; then echo "sbom.cdx.json is missing; next: make image" >&2; exit 2; \
	else grype sbom:sbom.cdx.json --fail-on high; fi

roll-out: $(ENVIRONMENT)  ## IMAGE=registry/name@sha256:… MODEL_VERSION=…: deploy it on Kubernetes with OVERLAY, production by default
	$(call need,IMAGE MODEL_VERSION)
	$(PASSERELLE) import --version "$$MODEL_VERSION"
	$(PASSERELLE) build
	@umask 077; if [ -n "$${KUBECONFIG_CONTENT:-}" ]; then \
	  export KUBECONFIG="$$(mktemp)"; trap 'rm -f "$$KUBECONFIG"' EXIT; printf '%s\n' "$$KUBECONFIG_CONTENT" > "$$KUBECONFIG"; fi; \
	$(PASSERELLE) deploy --target kubernetes --overlay "$$OVERLAY" --image "$$IMAGE"
