// Runs an ONNX model on raw float samples, one by one.
// usage: node onnxruntime_logits.js MODEL SAMPLES SHAPE OUTPUT [OPTIMIZED]
//   SHAPE: of one sample, "3,32,32"; OUTPUT: raw floats; OPTIMIZED: where the optimized model is written; without it, nothing is optimized
const fs = require('fs');
const ort = require('onnxruntime-node');
const [model, samples, shape, output, optimized] = process.argv.slice(2);
(async () => {
  const session = await ort.InferenceSession.create(model, {
    intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3,
    graphOptimizationLevel: optimized ? 'all' : 'disabled',
    ...(optimized ? { optimizedModelFilePath: optimized } : {}) });
  const raw = fs.readFileSync(samples);
  const data = new Float32Array(raw.buffer.slice(raw.byteOffset, raw.byteOffset + raw.length));
  const dims = shape.split(',').map(Number), each = dims.reduce((a, b) => a * b, 1);
  const results = [];
  for (let at = 0; at < data.length; at += each) {
    const sample = new ort.Tensor('float32', data.slice(at, at + each), [1, ...dims]);
    const outputs = await session.run({ [session.inputNames[0]]: sample });
    results.push(Buffer.from(outputs[session.outputNames[0]].data.buffer.slice(0)));
  }
  fs.writeFileSync(output, Buffer.concat(results));
})().catch((error) => { console.error(error.message); process.exit(1); });
