# docker build -f deploy/docker/pilot-discovery.Dockerfile -t pilot-discovery .
# docker run -v "$PWD/examples/bookinfo-vm/mesh:/etc/istio/config:ro" -p 15010:15010 -p 8080:8080 pilot-discovery

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --locked --profile dist -p pilot-discovery

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/dist/pilot-discovery /usr/local/bin/pilot-discovery
COPY --from=build /src/LICENSE /usr/share/doc/pilot-discovery/LICENSE
USER 65532:65532
EXPOSE 8080 15010 15014
ENTRYPOINT ["/usr/local/bin/pilot-discovery"]
CMD ["discovery", "--config-dir", "/etc/istio/config"]
