# Everything that decides about the binary is pinned, so that who builds a revision again gets the same bytes.
FROM --platform=$BUILDPLATFORM golang:1.26.8-bookworm@sha256:a688600ca24f8a4d3ca77f95b0dd40704a9fc787c826660eb7ba0b641b8b175d AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod \
    go mod download
COPY . .
ARG TARGETOS TARGETARCH
ARG VERSION=dev
ARG REVISION=
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    GOOS=$TARGETOS GOARCH=$TARGETARCH make build VERSION="$VERSION" REVISION="$REVISION"

# Certificates, and no shell.
FROM gcr.io/distroless/static-debian12:nonroot@sha256:afa5c872c891853ca7fcf1f12c3edb23f7eeef36189728842dd51042ff57f7ab
ARG VERSION=dev
ARG REVISION=
LABEL org.opencontainers.image.title="streamkeeper" \
      org.opencontainers.image.description="Trims, cleans up and inspects the RTA stream buffer in Redis" \
      org.opencontainers.image.url="https://github.com/streamkeeper/streamkeeper" \
      org.opencontainers.image.source="https://github.com/streamkeeper/streamkeeper" \
      org.opencontainers.image.documentation="https://github.com/streamkeeper/streamkeeper/blob/main/README.md" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY LICENSE packaging/third-party.md /licenses/
COPY --from=build /src/streamkeeper /streamkeeper
# By number, so that Kubernetes can see that it is not root.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/streamkeeper"]
CMD ["run"]
