// SPDX-FileCopyrightText: the llfree-preload contributors
// SPDX-License-Identifier: MIT

// Two files in one (PART 1 and 2) that are work for a C++ compiler: many
// instances of templates. The program that they make allocates a lot, throws
// and catches, and runs threads.

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <iostream>
#include <list>
#include <map>
#include <memory>
#include <numeric>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

using Value = std::variant<int, double, std::string, std::vector<int>>;

uint64_t containers(unsigned scale);
uint64_t text(unsigned scale);

template <size_t N> struct Table {
	std::map<std::string, std::array<uint64_t, N>> rows;
	std::unordered_map<uint64_t, std::vector<Value>> index;

	uint64_t fill(unsigned scale)
	{
		for (uint64_t i = 0; i < 400u * scale; i++) {
			auto &row = rows[std::to_string(i * 7919 % 100003)];
			std::iota(row.begin(), row.end(), i);
			index[i % 97].emplace_back(std::to_string(i));
			index[i % 89].emplace_back(std::vector<int>(N, int(i)));
		}
		uint64_t sum = 0;
		for (auto &[key, row] : rows)
			sum += std::accumulate(row.begin(), row.end(),
					       key.size());
		for (uint64_t i = 0; i < 97; i++)
			for (auto &value : index[i])
				sum += i * value.index();
		return sum;
	}
};

template <size_t... N>
uint64_t fill_all(std::index_sequence<N...>, unsigned scale)
{
	return (Table<N + 1>().fill(scale) + ...);
}

#if PART == 1
uint64_t containers(unsigned scale)
{
	return fill_all(std::make_index_sequence<24>(), scale);
}

static void worker(unsigned n, unsigned scale, uint64_t &sum)
{
	std::list<std::unique_ptr<std::set<uint64_t>>> sets;
	for (uint64_t i = 0; i < 500u * scale; i++) {
		sets.push_back(std::make_unique<std::set<uint64_t>>());
		for (uint64_t j = 0; j < 20; j++)
			sets.back()->insert((i * j * 31 + n) % 1009);
		if (sets.size() > 100)
			sets.pop_front();
		sum += sets.back()->size();
	}
}

static unsigned exceptions(unsigned scale)
{
	unsigned caught = 0;
	for (unsigned i = 0; i < 1000 * scale; i++) {
		try {
			std::vector<int>(i % 10).at(5) = 1;
		} catch (const std::out_of_range &e) {
			caught++;
		}
	}
	return caught;
}

int main(int argc, char **argv)
{
	unsigned scale = argc > 1 ? unsigned(std::stoul(argv[1])) : 1;
	std::array<uint64_t, 4> sums = {};
	std::vector<std::thread> threads;
	for (unsigned n = 0; n < sums.size(); n++)
		threads.emplace_back(worker, n, scale, std::ref(sums[n]));
	for (auto &thread : threads)
		thread.join();
	std::cout << "threads";
	for (auto sum : sums)
		std::cout << ' ' << sum;
	std::cout << "\ncontainers " << containers(scale) << "\ntext "
		  << text(scale) << "\nexceptions " << exceptions(scale)
		  << '\n';
	std::cerr << "this line goes to stderr\n";
	std::vector<double> large(5000000 * size_t(scale));
	std::cout << "large "
		  << std::accumulate(large.begin(), large.end(), 1.0) << '\n';
}
#else
uint64_t text(unsigned scale)
{
	std::ostringstream out;
	for (unsigned i = 0; i < 2000 * scale; i++)
		out << "name" << i << '=' << std::hex << i * 31 << ';';
	const std::string all = out.str();
	const std::regex pair("([a-z]+)([0-9a-f]+)=([0-9a-f]+);");
	uint64_t sum = 0;
	for (std::sregex_iterator i(all.begin(), all.end(), pair), end;
	     i != end; ++i)
		sum += uint64_t((*i)[2].length() * 100 + (*i)[3].length());
	std::multimap<std::tuple<size_t, std::string>, std::function<size_t()>>
		jobs;
	for (unsigned i = 0; i < 500 * scale; i++) {
		std::string part = all.substr(i, i % 50);
		jobs.emplace(std::make_tuple(part.size(), part),
			     [part] { return part.find('='); });
	}
	for (auto &[key, job] : jobs)
		sum += std::min(job(), size_t(100)) + std::get<0>(key);
	return sum;
}
#endif
