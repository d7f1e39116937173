# An image with the binary and its libraries only: no shell, no package manager, not run as root.
# `make image` builds it with docker, podman or buildah. RUST is any image with Rust and a C compiler.
ARG RUST=docker.io/library/rust:1.95-bookworm

FROM ${RUST} AS build
WORKDIR /source
ARG AUDITABLE=0.7.7
RUN --mount=type=cache,id=cargo,target=/usr/local/cargo/registry \
    cargo install --locked --version "$AUDITABLE" cargo-auditable
COPY . .
# Build outputs are cached between builds. `jumun --version` prints COMMIT.
ARG COMMIT=unknown
RUN --mount=type=cache,id=cargo,target=/usr/local/cargo/registry \
    --mount=type=cache,id=target,target=/source/target \
    JUMUN_COMMIT=$COMMIT cargo auditable build --profile dist --locked -p jumun && \
    scripts/rootfs.sh target/dist/jumun /rootfs

FROM scratch
COPY --from=build /rootfs/ /
ARG COMMIT=unknown
ARG VERSION=unknown
LABEL org.opencontainers.image.title=jumun \
      org.opencontainers.image.description="Order to payment: one binary, any set of contexts" \
      org.opencontainers.image.licenses=Apache-2.0 \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$COMMIT
ENV PATH=/usr/bin JUMUN_DATA_DIR=/data JUMUN_LISTEN=0.0.0.0:8080 JUMUN_LOG_FORMAT=json
USER 65532:65532
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK CMD ["jumun", "health"]
ENTRYPOINT ["/usr/bin/jumun"]
CMD ["up"]
