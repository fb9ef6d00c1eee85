"""One model behind LitServe, each request alone or in batches as they come.

python lit.py FILE PORT [batched]
"""

import sys

import joblib
import litserve
import numpy as np


class Digits(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.model = joblib.load(sys.argv[1])

    def decode_request(self, request: dict[str, list[list[float]]]) -> np.ndarray:
        return np.asarray(request["rows"])

    def predict(self, rows: np.ndarray) -> np.ndarray:
        return self.model.predict(rows)

    def encode_response(self, output: np.ndarray) -> list[int]:
        return output.tolist()


class Batched(Digits):
    """Requests of any number of rows go through the model together."""

    def batch(self, inputs: list[np.ndarray]) -> np.ndarray:
        self.ends = np.cumsum([len(rows) for rows in inputs])[:-1]
        return np.concatenate(inputs)

    def unbatch(self, output: np.ndarray) -> list[np.ndarray]:
        return np.split(output, self.ends)


if __name__ == "__main__":
    is_batched = sys.argv[3:] == ["batched"]
    api = Batched(max_batch_size=64, batch_timeout=0.002) if is_batched else Digits()
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=2)
    server.run(
        host="127.0.0.1",
        port=int(sys.argv[2]),
        num_api_servers=2,
        log_level="error",
        generate_client_file=False,
    )
