// Asks a server as a program of others would, with @grpc/grpc-js and the .proto files, and prints what it saw as JSON.
// usage: node node_client.js ADDRESS PROTO_FOLDER IMAGE ...
const fs = require('fs');
const path = require('path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const [address, protos, ...images] = process.argv.slice(2);
const load = (file, folder) => grpc.loadPackageDefinition(loader.loadSync(file,
  {keepCase: true, longs: Number, enums: String, defaults: true, oneofs: true, includeDirs: [folder]}));
const insecure = grpc.credentials.createInsecure();
const inference = new (load('inference/inference.proto', protos).inference.GRPCInferenceService)(address, insecure);
const health = new (load('health.proto', __dirname).grpc.health.v1.Health)(address, insecure);

const call = (stub, method, request, options = {}) => new Promise((resolve, reject) => {
  stub[method](request, new grpc.Metadata(), options, (error, answer) => error ? reject(error) : resolve(answer));
});
const codeOf = (promise) => promise.then(() => 'OK', (error) => grpc.status[error.code]);

// Raw BYTES: each element behind its size.
const raw = (files) => Buffer.concat(files.flatMap((file) => {
  const size = Buffer.alloc(4);
  size.writeUInt32LE(file.length);
  return [size, file];
}));
const request = (files, id = '') => ({
  model_name: 'demo', id,
  inputs: [{name: 'input', datatype: 'BYTES', shape: [files.length]}],
  raw_input_contents: [raw(files)],
});
const floats = (answer) => {
  const bytes = answer.raw_output_contents[0];
  return Array.from({length: bytes.length / 4}, (_, i) => bytes.readFloatLE(4 * i));
};

// All requests are written before the first answer is read.
const stream = (requests) => new Promise((resolve, reject) => {
  const answers = [];
  const call = inference.ModelStreamInfer();
  call.on('data', (answer) => answers.push(answer));
  call.on('error', reject);
  call.on('end', () => resolve(answers));
  for (const one of requests) call.write(one);
  call.end();
});

// Calls that are given up at once: none may hang, and the server goes on.
const giveUp = (count) => Promise.all(Array.from({length: count}, () => new Promise((resolve) => {
  const pending = inference.ModelInfer(request(files), (error) => resolve(error ? grpc.status[error.code] : 'OK'));
  setImmediate(() => pending.cancel());
})));

// The first state that a watch reports.
const watch = (service) => new Promise((resolve, reject) => {
  const call = health.Watch({service});
  call.on('data', (answer) => { resolve(answer.status); call.cancel(); });
  call.on('error', reject);
});

const files = images.map((image) => fs.readFileSync(path.resolve(image)));

(async () => {
  const seen = {
    ready: (await call(inference, 'ServerReady', {})).ready,
    metadata: await call(inference, 'ModelMetadata', {name: 'demo'}),
    health: (await call(health, 'Check', {service: ''})).status,
    health_of_service: (await call(health, 'Check', {service: 'inference.GRPCInferenceService'})).status,
    health_of_nothing: await codeOf(call(health, 'Check', {service: 'nothing'})),
    watch: await watch(''),
    logits: floats(await call(inference, 'ModelInfer', request(files))),
    unknown_model: await codeOf(call(inference, 'ModelInfer', {...request(files), model_name: 'nosuch'})),
    wrong_shape: await codeOf(call(inference, 'ModelInfer',
      {...request(files), inputs: [{name: 'input', datatype: 'BYTES', shape: [files.length + 1]}]})),
    late: await codeOf(call(inference, 'ModelInfer', request(files), {deadline: Date.now() - 1000})),
    given_up: await giveUp(50),
    stream: (await stream(files.map((file, i) => request([file], `n${i}`)))).map((answer) => ({
      error: answer.error_message, id: answer.infer_response.id, logits: floats(answer.infer_response)})),
  };
  console.log(JSON.stringify(seen));
  process.exit(0);
})().catch((error) => { console.error(error); process.exit(1); });
