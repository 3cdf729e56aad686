# Gateway and worker of Penstock; docker-compose.yml runs both from it.
FROM python:3.13-slim
RUN useradd --create-home --uid 10001 penstock
WORKDIR /opt/penstock
COPY requirements/run.txt requirements/run.txt
RUN pip install --no-cache-dir --require-hashes -r requirements/run.txt
COPY . .
RUN pip install --no-cache-dir --no-deps --no-build-isolation .
USER penstock
WORKDIR /home/penstock
ENTRYPOINT ["penstock"]
CMD ["--help"]
