// CDK's AwsCustomResource, one resource for each job, all deleted at once: as CloudFormation deletes resources that do
// not depend on each other. Reads what the programs of bench/programs read, and tells on stderr how often CDK's handler
// answered what.
//
// On Lambda each deletion that runs at the same time is a container of its own. Here they share one process: no cold
// start takes its time, nor spreads the calls. The handler makes a client for each request, so that no retry quota or
// connection is shared that would be apart on Lambda.

import http from "node:http";
import https from "node:https";
import { createRequire } from "node:module";
import { text } from "node:stream/consumers";

const { handler } = createRequire(import.meta.url)(
  "./node_modules/aws-cdk-lib/custom-resource-handlers/dist/custom-resources/aws-custom-resource-handler/index.js",
);

const said = {}; // "SUCCESS", or "FAILED: the reason": how often
const cloudformation = http.createServer(async (request, response) => {
  const { Status, Reason } = JSON.parse(await text(request));
  const answer = Status === "SUCCESS" ? Status : `${Status}: ${Reason}`;
  said[answer] = (said[answer] ?? 0) + 1;
  response.end();
});
await new Promise((resolve) => cloudformation.listen(0, "127.0.0.1", resolve));
const { port } = cloudformation.address();
// The handler answers by https.request, on port 443 whatever the URL says. Its own agent takes it here, without TLS.
https.globalAgent = Object.assign(new http.Agent(), { defaultPort: port });

// The SDK that the runtime brings, as CDK advises: else each container installs the latest one first, in about a minute.
const deletion = (jobId) => ({
  RequestType: "Delete",
  RequestId: jobId,
  ResponseURL: "https://127.0.0.1/answer",
  StackId: "arn:aws:cloudformation:eu-west-1:123456789012:stack/firmware/5f3a9c10-c4f2-11f0-9c1a-0a1b2c3d4e5f",
  LogicalResourceId: jobId.replaceAll("-", ""),
  PhysicalResourceId: jobId,
  ResourceType: "Custom::AWS",
  ResourceProperties: {
    ServiceToken: "arn",
    Delete: JSON.stringify({ service: "iot", action: "cancelJob", parameters: { jobId } }),
    InstallLatestAwsSdk: "false",
  },
});

const { events } = JSON.parse(await text(process.stdin));
for (const { cancel } of events) {
  await Promise.all(cancel.jobIds.map((jobId) => handler(deletion(jobId), { logStreamName: "2026/11/24" })));
}
cloudformation.close();
process.stderr.write(JSON.stringify(said));
