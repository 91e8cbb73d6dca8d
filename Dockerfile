# The command `fewshot` for the CPU.
#
#   docker build -t fewshot .
#   docker run --rm -v fewshot:/data fewshot                                # the demo: does mirroring the images help?
#   docker run --rm -v fewshot:/data -v "$PWD/photos:/photos:ro" fewshot compare --data /photos --budget 10m
#
# Prepared data, weights and results stay in the volume /data.
FROM python:3.12-slim-bookworm AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY fewshot fewshot
COPY gan gan
COPY experiments experiments
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.12-slim-bookworm
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir /wheels/*.whl \
    && rm -r /wheels \
    && useradd --create-home --uid 1000 fewshot \
    && install --directory --owner=fewshot /data
USER 1000
WORKDIR /data
ENV FEWSHOT_CACHE=/data/cache \
    TF_CPP_MIN_LOG_LEVEL=3
VOLUME /data
ENTRYPOINT ["fewshot"]
CMD ["augment", "--method", "flip", "--seeds", "10"]
