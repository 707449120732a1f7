// SPDX-FileCopyrightText: the llfree-preload contributors
// SPDX-License-Identifier: MIT

// Work for node inside and outside V8's heap; prints checksums.

'use strict';

const { createHash } = require('crypto');
const { execFileSync } = require('child_process');
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const zlib = require('zlib');

const digest = (data) => createHash('sha256').update(data).digest('hex').slice(0, 16);

function objects(scale) {
	const table = new Map();
	for (let i = 0; i < 150000 * scale; i++)
		table.set('key' + ((i * 7919) % 1000003), { i, text: String(i), list: [i, i + 1] });
	for (const key of [...table.keys()])
		if (key.endsWith('3'))
			table.delete(key);
	return `${table.size} ${digest(JSON.stringify([...table].slice(0, 5000)))}`;
}

function garbage(scale) {
	let sum = 0;
	for (let i = 0; i < 2000000 * scale; i++) {
		const point = { x: i, y: [i % 7] };
		sum += point.y[0];
	}
	return sum;
}

function buffers(scale) {
	let sum = 0;
	for (let i = 0; i < 40 * scale; i++) {
		const buffer = Buffer.alloc(1000000 + 4096 * i);
		if (buffer.indexOf(1) !== -1)
			throw new Error('fresh memory is not zero');
		buffer.fill(1, i, i + 1000);
		const packed = zlib.deflateSync(buffer);
		sum += zlib.inflateSync(packed).reduce((a, b) => a + b, 0);
	}
	return sum;
}

function typed(scale) {
	const matrix = new Float64Array(3000000 * scale);
	for (let i = 0; i < matrix.length; i++)
		matrix[i] = (i * 31) % 1009;
	return digest(Buffer.from(matrix.sort().buffer));
}

// Each fills objects and buffers of its own, counts in memory that all share,
// and hands a buffer over.
const workers = async (scale) => {
	const shared = new Int32Array(new SharedArrayBuffer(4 << 20));
	const results = await Promise.all([1, 2, 3].map((n) => new Promise((resolve, reject) => {
		const worker = new Worker(__filename, { workerData: { n, scale, shared } });
		worker.on('message', resolve);
		worker.on('error', reject);
	})));
	const sum = shared.reduce((a, b) => a + b, 0);
	return results.map(({ text, bytes }) => `${text} ${digest(bytes)}`) + ' ' + sum;
};

function work({ n, scale, shared }) {
	for (let i = 0; i < shared.length; i++)
		Atomics.add(shared, i, n);
	const bytes = new Uint8Array(3000000 + n).fill(n);
	const text = `${n}: ${objects(scale)} ${buffers(Math.ceil(scale / 4))}`;
	parentPort.postMessage({ text, bytes }, [bytes.buffer]);
}

function child() {
	return execFileSync(process.execPath, ['-e', 'console.log(6 * 7)']).toString().trim();
}

async function main() {
	const scale = Number(process.argv[2]);
	for (const job of [objects, garbage, buffers, typed, workers, child])
		console.log(job.name, String(await job(scale)));
	console.error('this line goes to stderr');
}

if (isMainThread)
	main();
else
	work(workerData);
