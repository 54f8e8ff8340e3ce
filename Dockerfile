# One image for the manager, the build Job and the boot registry.
#
#   docker build --build-arg VERSION=0.1.0 --build-arg REVISION="$(git rev-parse HEAD)" -t linuxkit-operator .
#
# Both base images are arguments, so that it also builds where nothing can be pulled:
# BUILD_IMAGE needs a shell, Node 24 and npm; RUNTIME_IMAGE needs glibc, libstdc++ and CA certificates.
ARG BUILD_IMAGE=node:24.21.0-bookworm-slim
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json ./
COPY scripts/bundle.ts scripts/bundle.ts
COPY operator operator
RUN node scripts/bundle.ts /out && mkdir /compiled

FROM ${RUNTIME_IMAGE}
ARG VERSION=0.0.0-dev
ARG REVISION=unknown
ARG SOURCE=https://github.com/linuxkit-operator/linuxkit-operator
LABEL org.opencontainers.image.title="linuxkit-operator" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /usr/local/bin/node /usr/local/bin/node
COPY --from=build /out /app
COPY --from=build --chown=65532:65532 /compiled /app/compiled
# One heap for all threads: it wastes less memory, and is as fast.
ENV MALLOC_ARENA_MAX=1
ENV NODE_ENV=production NODE_COMPILE_CACHE=/app/compiled LINUXKIT_OPERATOR_VERSION="${VERSION}"
USER 65532:65532
# What each subcommand loads is compiled once and for all: the root cannot be written when it runs.
RUN ["/usr/local/bin/node", "--eval", "for (const name of ['manager', 'build-job', 'boot-registry', 'self-test', 'plugin']) require('node:child_process').execFileSync(process.execPath, ['/app/main.js', name, '--help'])"]
ENTRYPOINT ["/usr/local/bin/node", "/app/main.js"]
CMD ["--help"]
