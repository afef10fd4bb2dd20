# docker build -t onnxport . && docker run --rm -v "$PWD:/work" --user "$(id -u)" onnxport export -m checkpoint onnx/
FROM debian:12 AS build
COPY . /source
WORKDIR /source
RUN scripts/setup
RUN cmake --preset default -DBUILD_TESTING=OFF && cmake --build build
RUN apt-get update && apt-get install -y --no-install-recommends dpkg-dev file
RUN cd build && cpack -G DEB -B /packages && rm -rf /packages/_CPack_Packages

# scripts/bare-root runs the steps in roots of their own, without Docker: from here on, or with `image` all.
FROM debian:12-slim
COPY --from=build /packages /packages
RUN apt-get update && \
    apt-get install -y --no-install-recommends ca-certificates /packages/*.deb && \
    rm -rf /packages /var/lib/apt/lists/*
RUN useradd --uid 10001 --create-home onnxport
USER onnxport
WORKDIR /work
ENTRYPOINT ["onnxport"]
CMD ["--help"]
