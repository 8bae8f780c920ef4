# Two images: `docker build --target server -t haq-server .` and `docker build --target worker -t haq-worker .`
FROM debian:bookworm-slim AS build
WORKDIR /src
COPY deploy/packages.txt deploy/install.sh deploy/
RUN ./deploy/install.sh
COPY . .
RUN cmake --preset release -DHAQ_TESTS=OFF && cmake --build build/release \
 && strip build/release/bin/haq build/release/bin/haq-server build/release/bin/haq-worker

FROM debian:bookworm-slim AS base
RUN apt-get update && apt-get install -y --no-install-recommends \
      libgrpc++1.51 libprotobuf32 libopencv-imgcodecs406 libopencv-imgproc406 libarchive13 libssl3 libseccomp2 \
      libspdlog1.10 libfmt9 libsqlite3-0 libprometheus-cpp-core1.0 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --create-home --home-dir /var/lib/haq haq \
 && install -d -o haq -g haq -m 0700 /var/lib/haq/run

# Serves and keeps the jobs; without LibTorch, so it starts no workers of its own.
FROM base AS server
RUN apt-get update && apt-get install -y --no-install-recommends libonnx1 libcairo2 \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/build/release/bin/haq-server /src/build/release/bin/haq /usr/local/bin/
USER haq
VOLUME /var/lib/haq
EXPOSE 8000 8001 8002
ENTRYPOINT ["haq-server", "--data-dir", "/var/lib/haq", "--listen", "0.0.0.0"]
CMD ["--workers", "0"]

# Takes jobs; with the server beside it, this image alone is a whole installation:
# docker run --entrypoint haq-server haq-worker --data-dir /var/lib/haq --listen 0.0.0.0
FROM base AS worker
RUN apt-get update && apt-get install -y --no-install-recommends libtorch1.13 libonnx1 libopenblas0-pthread \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/build/release/bin/haq-worker /src/build/release/bin/haq-server /usr/local/bin/
USER haq
VOLUME /var/lib/haq
ENTRYPOINT ["haq-worker"]
CMD ["serve", "--server", "unix:/var/lib/haq/run/worker.sock"]
