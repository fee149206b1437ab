# The image of glassbox: the binary, the libraries it links to, and nothing else.
#
#   docker build --tag glassbox .                        for run, serve and worker; runs as user 65532
#   docker build --tag glassbox --target kbase .         a KBase module; runs as root, see below
#   docker build --build-arg ENGINE=bun --tag glassbox . where Deno's base binary cannot be fetched
#
# The database lies in /var/lib/glassbox: mount a volume there to keep it.
# To run programs as jobs, put the binary where they are: COPY --from=glassbox /glassbox /usr/local/bin/
ARG DENO_IMAGE=docker.io/denoland/deno:debian-2.9.6

FROM ${DENO_IMAGE} AS build
# Empty tries deno first and takes bun, saying so, where Deno's base binary cannot be fetched.
ARG ENGINE=deno
WORKDIR /build
RUN test -s /etc/ssl/certs/ca-certificates.crt || \
    (apt-get update && apt-get install -y --no-install-recommends ca-certificates)
COPY deno.json deno.lock ./
RUN deno install --frozen
COPY main.ts ./
COPY scripts scripts
COPY src src
RUN deno task compile ${ENGINE:+--engine "$ENGINE"}

# The loader and the libraries are the build's own, so they fit the binary and the addon it carries.
# /tmp must be there and writable: the binary unpacks its libSQL library into it.
RUN set -eu; mkdir -p /image/etc/ssl/certs /image/var/lib /image/kb/module/work /state/glassbox; \
    mkdir -m 1777 /image/tmp; \
    cp dist/glassbox /image/glassbox; \
    for file in dist/glassbox dist/bundle/libsql.node; do ldd "$file"; done | \
      grep -o '/[^ ]*' | sort -u | xargs -I FILE cp --dereference --parents FILE /image; \
    cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/; \
    echo 'hosts: files dns' > /image/etc/nsswitch.conf; \
    printf 'root:x:0:0:root:/:/\nglassbox:x:65532:65532:glassbox:/var/lib/glassbox:/\n' > /image/etc/passwd; \
    printf 'root:x:0:\nglassbox:x:65532:\n' > /image/etc/group

FROM scratch AS program
COPY --from=build /image/ /
COPY --from=build --chown=65532:65532 /state/ /var/lib/
ENV PATH=/ XDG_STATE_HOME=/var/lib
LABEL org.opencontainers.image.title="glassbox" \
      org.opencontainers.image.description="Runs jobs, and shows everything they do" \
      org.opencontainers.image.licenses="MIT"
STOPSIGNAL SIGTERM
ENTRYPOINT ["/glassbox"]

# KBase's JobRunner starts a module with no user named, mounts the job at /kb/module/work from a directory that
# belongs to root, and reads what the module leaves there: so this one runs as root. It starts "async" once and
# waits for it to end, so there is nothing to ask for its health.
FROM program AS kbase
WORKDIR /kb/module
COPY kbase.yml KBDatalakeDashboard.spec deploy.cfg ./
COPY ui ui
USER 0:0
HEALTHCHECK NONE

FROM program AS glassbox
WORKDIR /var/lib/glassbox
USER 65532:65532
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 CMD ["/glassbox", "doctor"]
