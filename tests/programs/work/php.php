<?php
// SPDX-FileCopyrightText: the llfree-preload contributors
// SPDX-License-Identifier: MIT

// Work for php that fills and drops arrays, objects and strings as requests
// to a web application do, and prints checksums.

declare(strict_types=1);

$scale = (int) $argv[1];

final class Node
{
    public ?Node $next = null;
    public array $payload;

    public function __construct(int $n)
    {
        $this->payload = ['id' => $n, 'text' => str_repeat(chr(65 + $n % 26), $n % 500)];
    }
}

function arrays(int $scale): string
{
    $table = [];
    for ($i = 0; $i < 150_000 * $scale; $i++) {
        $table['key' . ($i * 7919 % 1_000_003)] = [$i, (string) $i, $i / 3];
    }
    ksort($table);
    return hash('sha256', json_encode(array_slice($table, 0, 5000))) . ' ' . count($table);
}

function objects(int $scale): string
{
    $sum = 0;
    for ($round = 0; $round < 3 * $scale; $round++) {
        $first = new Node(0);
        $last = $first;
        for ($i = 1; $i < 40_000; $i++) {
            $last->next = new Node($i);
            $last = $last->next;
        }
        $last->next = $first; // a cycle: only the collector frees it
        for ($i = 0, $node = $first; $i < 1000; $i++, $node = $node->next) {
            $sum += strlen($node->payload['text']);
        }
        $first = $last = $node = null;
        $sum += gc_collect_cycles() > 0 ? 1 : 0;
    }
    return (string) $sum;
}

function strings(int $scale): string
{
    $text = '';
    for ($i = 0; $i < 300_000 * $scale; $i++) {
        $text .= $i . ',';
    }
    $parts = explode(',', $text);
    $other = preg_replace('/7+/', 'seven', $text);
    return hash('sha256', $other) . ' ' . count($parts);
}

function requests(int $scale): string
{
    $context = hash_init('sha256');
    for ($request = 0; $request < 40 * $scale; $request++) {
        $rows = [];
        for ($i = 0; $i < 3000; $i++) {
            $rows[] = ['id' => $i, 'name' => "name $request $i", 'tags' => range(0, $i % 20)];
        }
        usort($rows, fn($a, $b) => strcmp($a['name'], $b['name']));
        $page = implode("\n", array_map(fn($r) => $r['name'] . count($r['tags']), $rows));
        hash_update($context, $page);
    }
    return hash_final($context);
}

function large(int $scale): string
{
    $sum = 0;
    for ($i = 1; $i <= 10 * $scale; $i++) {
        $block = str_repeat("\0", 3_000_000 * ($i % 5 + 1));
        $block[$i] = 'x';
        $sum += strpos($block . 'end', 'x') + strlen($block);
        $fixed = new SplFixedArray(200_000);
        $fixed[199_999] = $i;
        $sum += $fixed[199_999];
    }
    return (string) $sum;
}

foreach (['arrays', 'objects', 'strings', 'requests', 'large'] as $job) {
    echo $job, ' ', $job($scale), "\n";
}
fwrite(STDERR, "this line goes to stderr\n");
exit(0);
