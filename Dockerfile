# The service as an image: docs/container.md says how to build and run it. tests/container/image.test.ts follows these
# steps, read from this file, into a root file system, and runs the service there.

FROM node:26-trixie-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
# No package needs an install script.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY build ./build
COPY src ./src
COPY migrations ./migrations
RUN npm run build
# The bundle holds most packages. These are the ones that it loads at run time; Node 26 has no use for uWebSockets.js-compat.
RUN mkdir -p image/node_modules && cp -r package.json dist migrations image/ && cd node_modules \
  && cp -r uWebSockets.js @uwsjs @node-rs piscina commander ../image/node_modules/

# With a shell and npm, to look into a container: docker build --target debug
FROM node:26-trixie-slim AS debug
WORKDIR /app
COPY --from=build /build/image ./
ENV LISTENERS=1 STARTUP_TIMEOUT_MS=0 MALLOC_ARENA_MAX=1
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/node", "--max-semi-space-size=2", "--max-old-space-size-percentage=25", "/app/dist/server/main.cjs"]

FROM gcr.io/distroless/nodejs26-debian13:nonroot
LABEL org.opencontainers.image.title="taskapi" \
  org.opencontainers.image.description="A task-management API on uWebSockets.js and PostgreSQL" \
  org.opencontainers.image.licenses="MIT"
WORKDIR /app
# Owned by root, so that the service cannot change its own code.
COPY --from=build /build/image ./
# One listener, because an orchestrator replaces it and starts more of them. It waits for its database for as long as that
# takes. The last saves memory: one heap for all threads of the C library.
ENV LISTENERS=1 STARTUP_TIMEOUT_MS=0 MALLOC_ARENA_MAX=1
USER 65532:65532
EXPOSE 8080
STOPSIGNAL SIGTERM
# At 64 MiB leave this out (docker run --no-healthcheck) and let the orchestrator ask /health over HTTP: each check is a
# second Node, which takes up to 18 MiB of the container's memory for a moment.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
  CMD ["/nodejs/bin/node", "/app/dist/server/main.cjs", "healthcheck"]
# V8 by itself takes no note of a memory limit below 512 MiB: src/server/process/memory.ts has the arithmetic.
ENTRYPOINT ["/nodejs/bin/node", "--max-semi-space-size=2", "--max-old-space-size-percentage=25", "/app/dist/server/main.cjs"]
