# lesionlab with every extra. The default is PyTorch's build for CPUs; for NVIDIA GPUs take the one of the default index:
#   docker build --tag lesionlab .
#   docker build --tag lesionlab:cuda --build-arg TORCH_INDEX=https://pypi.org/simple .
FROM python:3.11-slim

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

# PyTorch compiles networks (the recipe key training.compile) with a C++ compiler.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*

COPY . /opt/lesionlab
RUN python -m pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" \
    --constraint /opt/lesionlab/constraints.txt "/opt/lesionlab[cluster,demo,dicom,mlflow,search]"

# Whoever runs it (docker run --user) has a place for caches and a name, which PyTorch asks for.
ENV HOME=/tmp USER=lesionlab
USER 1000:1000
WORKDIR /data
ENTRYPOINT ["lesionlab"]
CMD ["--help"]
