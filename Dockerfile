# The REST server in a container. Written without a container engine at hand: its steps run in
# tests/test_wheel.py, the build itself has not run. Build the wheel first; all other packages come from
# requirements-serve.lock, hash by hash:
#   pip wheel --no-deps --wheel-dir dist .
#   docker build -t clvcast .
#   docker run --read-only --tmpfs /tmp -p 8000:8000 -v $PWD/bundle:/model:ro \
#       -v $PWD/tokens:/run/tokens:ro clvcast
FROM python:3.11-slim

RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin clvcast

COPY requirements-serve.lock dist/clvcast-*.whl /tmp/
RUN pip install --no-cache-dir --require-hashes -r /tmp/requirements-serve.lock \
    && pip install --no-cache-dir --no-deps --no-index /tmp/clvcast-*.whl \
    && rm -f /tmp/clvcast-*.whl /tmp/requirements-serve.lock

# Compile once, for every processor of this architecture. numba's cache must be writable even to be
# read, and the file system is read-only: the entry point copies the cache to /tmp.
ENV NUMBA_CPU_NAME=generic NUMBA_CPU_FEATURES="" NUMBA_CACHE_DIR=/opt/clvcast/cache PYTHONDONTWRITEBYTECODE=1
RUN clvcast warm

USER 10001
ENV NUMBA_CACHE_DIR=/tmp/clvcast-cache
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
ENTRYPOINT ["sh", "-c", "cp -a /opt/clvcast/cache /tmp/clvcast-cache; exec clvcast serve --host 0.0.0.0 --port 8000 \"$@\"", "clvcast"]
CMD ["--model", "/model", "--tokens", "/run/tokens"]
