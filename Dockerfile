# One image with two commands: serve (the render service) and emulator (the queue).
FROM python:3.11-slim AS build
WORKDIR /src
# Wheels only: the image has no compiler.
ENV PIP_NO_CACHE_DIR=1 PIP_ONLY_BINARY=:all: PYTHON=/venv/bin/python
RUN python3 -m venv /venv
# The dependencies are a layer of their own, which is rebuilt only when the lock file changes.
COPY requirements.lock ./
COPY scripts/pip-install.sh scripts/
RUN scripts/pip-install.sh requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY render_trio render_trio
COPY emulator emulator
COPY resources resources
COPY templates templates
COPY static static
# The build backend is in the lock file too.
RUN /venv/bin/pip install --no-deps --no-build-isolation --no-binary render-trio .

FROM python:3.11-slim
# tini as the first process reaps the processes whose parent was killed.
RUN apt-get update && apt-get install --yes --no-install-recommends tini && rm -rf /var/lib/apt/lists/*
COPY --from=build /venv /venv
COPY scripts/docker-entrypoint.sh scripts/healthcheck.py scripts/mount-bucket.sh scripts/shutdown-script.sh /app/scripts/
# The user is numeric, so that Kubernetes can verify runAsNonRoot. OpenShift assigns any uid, in group 0.
RUN useradd --system --uid 1000 --gid 0 --create-home render && mkdir /data && chown 1000:0 /data && chmod g=u /data
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 HOST=0.0.0.0 RENDER_ISOLATION=process
USER 1000
VOLUME /data
EXPOSE 8080 5052
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s CMD ["python3", "/app/scripts/healthcheck.py"]
ENTRYPOINT ["/usr/bin/tini", "-s", "--", "/app/scripts/docker-entrypoint.sh"]
CMD ["serve"]
