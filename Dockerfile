# `docker build .` makes the image of the service. It holds no development code. `docker build --target trial .` adds dist/dev,
# which makes the PKI and the keys of a trial (docker-compose.yml).
#
# The base image needs Node.js 24.11 or later with npm. Name it by its digest to make the build repeatable.
ARG NODE_IMAGE=node:26-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
# The compiler needs no install script of a package, so the build runs none.
RUN npm ci --ignore-scripts
COPY nest-cli.json tsconfig.json tsconfig.build.json ormconfig.ts ./
COPY clients/typescript/src ./clients/typescript/src
COPY commands ./commands
COPY console ./console
COPY dev ./dev
COPY src ./src
COPY tools/build.ts tools/build-page.ts ./tools/
# dist is a link to the build.
RUN npm run build && mv "$(realpath dist)" /build/built && mv built/dev /build/dev-built

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
# The embedded PostgreSQL is the optional dependency; NODE_ENV=production refuses it.
RUN npm ci --omit=dev --omit=optional --ignore-scripts

FROM ${NODE_IMAGE} AS runtime
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Passkey Manager" \
      org.opencontainers.image.description="A service that owns passkeys: their life cycle and their WebAuthn validation, behind mutual TLS, with an audit log." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# Root owns every file that the process reads, so the process cannot change them. It writes no file. The directory is the mount
# point of a volume.
RUN install -d -o 1000 -g 1000 -m 0700 /var/lib/passkey-manager
WORKDIR /app
COPY --from=dependencies /build/node_modules ./node_modules
COPY --from=build /build/built ./dist
COPY package.json LICENSE ./
# The command line of operators and auditors: docker run --rm IMAGE passkey-manager --help
RUN ln -s /app/dist/commands/passkey-manager/passkey-manager.js /usr/local/bin/passkey-manager
# `node dist/commands/evidence.js` reads the table of requirements.
COPY docs/compliance.md ./docs/
# For `node dist/commands/migrate.js --grants`.
COPY deploy/postgres/*.sql ./deploy/postgres/
# Nothing outside a container reaches its loopback, so the mutual TLS listener binds every address. The management listener
# stays on loopback: set PASSKEY_MANAGEMENT_HOST to let Prometheus and probes reach it.
ENV NODE_ENV=production \
    PASSKEY_HTTPS_HOST=0.0.0.0
EXPOSE 8443 8081
USER 1000:1000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "-e", "const { PASSKEY_MANAGEMENT_HOST: host, PASSKEY_MANAGEMENT_PORT: port } = process.env; require('node:http').get({ host: host || '127.0.0.1', port: port || 8081, path: '/health/live' }, ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))"]
CMD ["node", "dist/src/main.js"]

FROM runtime AS trial
USER 0:0
# The mount point for the output of prepare.js.
RUN install -d -o 1000 -g 1000 -m 0700 /var/lib/passkey-manager-prepared
COPY --from=build /build/dev-built ./dist/dev
USER 1000:1000

# The last stage is the one that `docker build` makes without --target.
FROM runtime AS service
