# docker build -f deploy/docker/pilot-agent.Dockerfile -t pilot-agent .
#
# ENVOY is the image that Envoy is taken from. The user is the one whose connections `pilot-agent iptables` leaves alone; setting its
# rules needs root and a BASE that has iptables, and belongs to another container of the same network namespace.
ARG ENVOY=envoyproxy/envoy:distroless-v1.36.4
ARG BASE=gcr.io/distroless/cc-debian12:nonroot

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --locked --profile dist -p pilot-agent

# hadolint ignore=DL3006
FROM ${ENVOY} AS envoy

# hadolint ignore=DL3006
FROM ${BASE}
COPY --from=envoy /usr/local/bin/envoy /usr/local/bin/envoy
COPY --from=build /src/target/dist/pilot-agent /usr/local/bin/pilot-agent
COPY --from=build /src/LICENSE /usr/share/doc/pilot-agent/LICENSE
USER 1337:1337
EXPOSE 15001 15006 15020 15021 15090
ENTRYPOINT ["/usr/local/bin/pilot-agent"]
CMD ["proxy", "sidecar", "--config-path", "/tmp/pilot-agent"]
