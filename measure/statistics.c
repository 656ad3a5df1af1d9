/*
 * The two tests of compare. Nothing is simulated and nothing tabulated: the exact one is an
 * incomplete beta function, the other its normal approximation, which is good from 8 values a side.
 */
#include <errno.h>
#include <math.h>

#include "measure/compare.h"

#define FRACTION_STEPS 100000

static double away_from_zero(double v)
{
	return fabs(v) < 1e-300 ? 1e-300 : v;
}

/* The continued fraction of the incomplete beta function, by Lentz's method. */
static double beta_fraction(double a, double b, double x)
{
	double c = 1, d = 1 / away_from_zero(1 - (a + b) * x / (a + 1)), h = d;

	for (int m = 1; m <= FRACTION_STEPS; m++) {
		double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
		double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
		double step;

		d = 1 / away_from_zero(1 + even * d);
		c = away_from_zero(1 + even / c);
		h *= d * c;
		d = 1 / away_from_zero(1 + odd * d);
		c = away_from_zero(1 + odd / c);
		step = d * c;
		h *= step;
		if (fabs(step - 1) < 1e-13)
			break;
	}
	return h;
}

static double incomplete_beta(double a, double b, double x)
{
	double front;

	if (x <= 0 || x >= 1)
		return x <= 0 ? 0 : 1;
	front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
	if (x < (a + 1) / (a + b + 2))
		return front * beta_fraction(a, b, x) / a;
	return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

/* P(X >= k) of a binomial of @n trials with @p. */
static double binomial_tail(double k, double n, double p)
{
	return k <= 0 ? 1 : k > n ? 0 : incomplete_beta(k, n - k + 1, p);
}

double rate_ratio_p(double k1, double n1, double k2, double n2)
{
	double k = k1 + k2, share = n1 / (n1 + n2), upper, lower;

	if (k <= 0 || n1 <= 0 || n2 <= 0)
		return 1;
	upper = binomial_tail(k1, k, share);
	lower = binomial_tail(k2, k, 1 - share);
	return fmin(1, 2 * fmin(upper, lower));
}

struct ranked {
	int64_t value;
	bool of_b;
};

static int compare_ranked(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	return (x->value > y->value) - (x->value < y->value);
}

double mann_whitney_p(const int64_t *a, size_t n_a, const int64_t *b, size_t n_b, double *ret_shift)
{
	double n = (double)(n_a + n_b), ranks_b = 0, ties = 0, u, mean, variance, z;
	_cleanup_free_ struct ranked *all = calloc(n_a + n_b ? n_a + n_b : 1, sizeof(*all));

	if (!all)
		return NAN;
	for (size_t i = 0; i < n_a + n_b; i++)
		all[i] = (struct ranked){ i < n_a ? a[i] : b[i - n_a], i >= n_a };
	qsort(all, n_a + n_b, sizeof(*all), compare_ranked);
	for (size_t i = 0, end; i < n_a + n_b; i = end) {
		double tied;

		for (end = i; end < n_a + n_b && all[end].value == all[i].value; end++)
			;
		tied = (double)(end - i);
		ties += tied * tied * tied - tied;
		for (size_t k = i; k < end; k++)
			ranks_b += all[k].of_b ? (double)(i + 1 + end) / 2 : 0;
	}
	u = ranks_b - (double)n_b * ((double)n_b + 1) / 2;
	mean = (double)n_a * (double)n_b / 2;
	variance = (double)n_a * (double)n_b / 12 * (n + 1 - ties / (n * (n - 1)));
	*ret_shift = u - mean;
	if (variance <= 0)
		return 1;
	z = fmax(fabs(u - mean) - 0.5, 0) / sqrt(variance);
	return fmin(1, erfc(z / sqrt(2)));
}
