# The operator's image: non-root, for a read-only root file system, byte-compiled.
#   docker build -t bullmq-operator:0.1.0 .
# BASE_IMAGE may be any Debian-like image with Python >= 3.11 and its venv module.
ARG BASE_IMAGE=python:3.13-slim

FROM ${BASE_IMAGE} AS dependencies
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1
WORKDIR /src
# The tools that build the package stay in /opt/build; /opt/venv is what ships, without pip.
RUN python3 -m venv /opt/build && python3 -m venv --without-pip /opt/venv
COPY requirements/ requirements/
# Byte code is made here and trusted without a look at the source's time: a read-only root can't
# cache it later (each start would take twice as long and 70 MB more), and layers may change times.
RUN /opt/build/bin/pip --python /opt/venv/bin/python install --only-binary=:all: --require-hashes -r requirements/runtime.txt \
 && /opt/venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib

FROM dependencies AS package
RUN /opt/build/bin/pip install --only-binary=:all: --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE* ./
COPY operator/ operator/
# Into a root of its own, so that a new version of the operator is one small layer.
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && /opt/build/bin/pip --python /opt/venv/bin/python install --no-deps --root /out dist/*.whl \
 && /opt/venv/bin/python -m compileall -q -s /out --invalidation-mode unchecked-hash /out/opt/venv/lib

FROM ${BASE_IMAGE}
# Some bases ship the standard library without byte code; where it is there already, it is kept.
RUN python3 -m compileall -q -x '/(site|dist)-packages/|/(test|idlelib|lib2to3|tkinter|ensurepip)/' \
    "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
COPY --from=dependencies /opt/venv /opt/venv
COPY --from=package /out/opt/venv /opt/venv
LABEL org.opencontainers.image.title="bullmq-operator" \
      org.opencontainers.image.description="Retires old versions of BullMQ queues on Kubernetes without losing a job" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["bullmq-operator"]
CMD ["run"]
