# Node.js 24.11 or later with npm. For a build that can be repeated, give an image by its digest.
ARG NODE_IMAGE=node:26-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
# The compiler needs no package's install script, so none runs.
RUN npm ci --ignore-scripts
COPY nest-cli.json tsconfig.json tsconfig.build.json ormconfig.ts ./
COPY src ./src
RUN npm run build

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
# Optional is the embedded PostgreSQL, which NODE_ENV=production refuses.
RUN npm ci --omit=dev --omit=optional --ignore-scripts

FROM ${NODE_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Passkey Manager" \
      org.opencontainers.image.description="A service that owns passkeys: their life cycle and their WebAuthn validation, behind mutual TLS, with an audit log." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# Whatever the process reads is root's and it cannot change it; it writes nothing. The directories are for mounted volumes,
# the second one for what prepare.js makes.
RUN install -d -o 1000 -g 1000 -m 0700 /var/lib/passkey-manager /var/lib/passkey-manager-prepared
WORKDIR /app
COPY --from=dependencies /build/node_modules ./node_modules
COPY --from=build /build/dist ./dist
COPY package.json LICENSE ./
# A container's loopback is nobody's, so the mutual TLS listener is on every address. The management listener is not:
# PASSKEY_MANAGEMENT_HOST opens it to whoever scrapes it.
ENV NODE_ENV=production \
    PASSKEY_HTTPS_HOST=0.0.0.0
EXPOSE 8443 8081
USER 1000:1000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "-e", "const { PASSKEY_MANAGEMENT_HOST: host, PASSKEY_MANAGEMENT_PORT: port } = process.env; require('node:http').get({ host: host || '127.0.0.1', port: port || 8081, path: '/health/live' }, ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))"]
CMD ["node", "dist/src/main.js"]
