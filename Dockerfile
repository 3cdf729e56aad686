# Gateway, worker and commands of Penstock; docker-compose.yml runs them from it (docs/operations.md).
FROM python:3.13.14-slim-trixie AS build
RUN python -m venv /opt/penstock
ENV PATH=/opt/penstock/bin:$PATH
WORKDIR /src
COPY requirements/run.txt requirements/run.txt
RUN pip install --no-cache-dir --require-hashes -r requirements/run.txt
COPY . .
RUN pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13.14-slim-trixie
# Volumes take over who owns the folder that they are mounted on.
RUN useradd --create-home --uid 10001 penstock \
    && install --directory --owner=10001 --group=10001 --mode=0700 \
        /var/lib/penstock /var/lib/penstock/dead-letters
COPY --from=build /opt/penstock /opt/penstock
ENV PATH=/opt/penstock/bin:$PATH PYTHONDONTWRITEBYTECODE=1
# A number: Kubernetes sees from it that this is not root.
USER 10001:10001
WORKDIR /home/penstock
ENTRYPOINT ["penstock"]
CMD ["--help"]
