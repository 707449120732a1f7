// SPDX-FileCopyrightText: the llfree-preload contributors
// SPDX-License-Identifier: MIT

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import java.util.zip.GZIPInputStream;
import java.util.zip.GZIPOutputStream;

/** Work for the Java machine inside and outside its heap. */
public class Work {
	static long table(int scale) {
		Map<String, List<Integer>> map = new HashMap<>();
		for (int i = 0; i < 100000 * scale; i++)
			map.computeIfAbsent("key" + i * 31 % 10007, k -> new ArrayList<>()).add(i);
		return map.values().stream().mapToLong(l -> l.size() * (long) l.get(0)).sum();
	}

	static long direct(int scale) {
		long sum = 0;
		for (int i = 0; i < 20 * scale; i++) {
			ByteBuffer buffer = ByteBuffer.allocateDirect(1000000 + 4096 * i);
			for (int at = 0; at < buffer.capacity(); at += 4096)
				sum += buffer.get(at);
			buffer.putInt(i, i);
			sum += buffer.getInt(i);
		}
		return sum;
	}

	static long packed(int scale) throws Exception {
		byte[] data = new byte[4000000 * scale];
		for (int i = 0; i < data.length; i++)
			data[i] = (byte) (i * i >> 8);
		ByteArrayOutputStream out = new ByteArrayOutputStream();
		try (GZIPOutputStream zip = new GZIPOutputStream(out)) {
			zip.write(data);
		}
		byte[] back = new GZIPInputStream(new ByteArrayInputStream(out.toByteArray())).readAllBytes();
		return java.util.Arrays.equals(data, back) ? back.length : -1;
	}

	static long threads(int scale) throws Exception {
		ExecutorService pool = Executors.newFixedThreadPool(8);
		List<Future<Long>> results = new ArrayList<>();
		for (int n = 0; n < 32; n++) {
			Callable<Long> job = n % 2 == 0 ? () -> table(scale) : () -> direct(scale);
			results.add(pool.submit(job));
		}
		long sum = 0;
		for (Future<Long> result : results)
			sum += result.get();
		pool.shutdown();
		for (int n = 0; n < 200; n++) {
			Thread thread = new Thread(() -> IntStream.range(0, 1000).sum());
			thread.start();
			thread.join();
		}
		return sum;
	}

	public static void main(String[] args) throws Exception {
		int scale = Integer.parseInt(args[0]);
		System.out.println("table " + table(scale));
		System.out.println("direct " + direct(scale));
		System.out.println("packed " + packed(scale));
		System.out.println("threads " + threads(scale));
		System.err.println("this line goes to stderr");
	}
}
