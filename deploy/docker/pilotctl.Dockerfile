# docker build -f deploy/docker/pilotctl.Dockerfile -t pilotctl .
# docker run -i pilotctl validate -f - < mesh.yaml

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --locked --profile dist -p pilotctl

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/dist/pilotctl /usr/local/bin/pilotctl
COPY --from=build /src/LICENSE /usr/share/doc/pilotctl/LICENSE
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/pilotctl"]
