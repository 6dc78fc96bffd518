"""python -m tests.support.s3_server: moto's S3 on a free port, with users whose rights are checked.

Prints one line of JSON when it answers, and ends with its standard input.
"""

from __future__ import annotations

import json
import os
import sys

BUCKET = "archives"
USERS = {
    "writer": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
    "stranger": [],
}
"""Name and policy of each."""


def main() -> None:
    """Runs until standard input ends."""
    os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = str(2 * len(USERS) + 2)
    import boto3  # moto reads the environment when it is imported
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    login = {"aws_access_key_id": "nobody", "aws_secret_access_key": "nobody"}
    client = boto3.client("iam", endpoint_url=url, region_name="us-east-1", **login)
    keys = {}
    for name, statements in USERS.items():
        client.create_user(UserName=name)
        if statements:
            policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
            client.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=policy)
        made = client.create_access_key(UserName=name)["AccessKey"]
        keys[name] = {
            "AWS_ACCESS_KEY_ID": made["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"],
            "AWS_ENDPOINT_URL": url,
            "AWS_REGION": "us-east-1",
        }
    boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=keys["writer"]["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["writer"]["AWS_SECRET_ACCESS_KEY"],
    ).create_bucket(Bucket=BUCKET)
    sys.stdout.write(f"{json.dumps(keys)}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
