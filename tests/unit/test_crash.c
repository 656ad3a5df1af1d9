/*
 * kill -9 at every moment that can be told apart, then the same plan again: the machine is as if
 * nothing had happened, the originals are the stock ones, and a revert brings those back.
 */
#include "fake_machine.h"

#include <signal.h>
#include <sys/wait.h>

#include "actuators/execute.h"

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fake_setup, fake_teardown)

static void machine(void)
{
	fake_write(FAKE_WATCHDOG, "1\n");
	fake_write(FAKE_THROTTLING, "950000\n");
	fake_write(FAKE_PAGES, "0\n");
	fake_write("/proc/irq/24/smp_affinity_list", "0-3\n");
	fake_write("/proc/irq/24/effective_affinity_list", "0-3");
	fake_thread(30, "ksoftirqd/3", 0, 0);
}

static void plan_all(void)
{
	fake_plan();
	fake_step(STEP_PACKAGE, "kernel", "linux-image-rt-amd64", "installed");
	fake_arg("cpu_isolation", "isolcpus", "managed_irq,domain,2-3");
	fake_arg("tick_offload", "nohz_full", "2-3");
	fake_runtime_steps();
}

static int execute(void)
{
	struct outcome *outcomes;
	int lock = machine_lock(NULL), r;

	if (lock < 0)
		return lock;
	r = plan_execute(fake_plan_now(), NULL, NULL, NULL, &outcomes, NULL);
	if (r >= 0)
		outcomes_free(outcomes, fake_plan_now()->n_steps);
	close(lock);
	return r;
}

/* In a child, so that it can be killed. True: it was. */
static bool execute_killed(size_t nth_write)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		fake_kill_at(nth_write);
		_exit(execute() == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status)) {
		assert_int_equal(WEXITSTATUS(status), 0);
		return false;
	}
	assert_int_equal(WTERMSIG(status), SIGKILL);
	return true;
}

/* The uninterrupted run, then the killed one; both end in the same bytes. */
static bool same_after_kill(size_t nth_write)
{
	_cleanup_free_ char *stock = NULL, *wanted = NULL, *have = NULL;
	bool killed;

	machine();
	stock = fake_snapshot();
	plan_all();
	assert_int_equal(execute(), 0);
	wanted = fake_snapshot();
	assert_int_equal(fake_teardown(NULL), 0);

	assert_int_equal(fake_setup(NULL), 0);
	machine();
	plan_all();
	killed = execute_killed(nth_write);
	assert_int_equal(execute(), 0);
	have = fake_snapshot();
	assert_string_equal(have, wanted);
	free(have);
	assert_int_equal(revert_all(NULL, NULL, NULL, NULL), 0);
	have = fake_snapshot();
	assert_string_equal(have, stock);
	return killed;
}

static void killed_before_any_kernel_write(void **state)
{
	size_t n = 1;

	while (same_after_kill(n)) {
		assert_int_equal(fake_teardown(state), 0);
		assert_int_equal(fake_setup(state), 0);
		n++;
	}
	assert_true(n > 6);
}

static void boot_run(const char *mark)
{
	_cleanup_free_ char *wanted = NULL, *have = NULL;

	fake_plan();
	fake_arg("tick_offload", "nohz_full", "2-3");
	assert_int_equal(execute(), 0);
	wanted = fake_snapshot();
	assert_int_equal(fake_teardown(NULL), 0);

	assert_int_equal(fake_setup(NULL), 0);
	fake_plan();
	fake_arg("tick_offload", "nohz_full", "2-3");
	fake_write(mark, "");
	assert_true(execute_killed(0));
	/* waits for the orphan, which holds the lock */
	assert_int_equal(execute(), 0);
	have = fake_snapshot();
	assert_string_equal(have, wanted);
}

static void killed_while_update_grub_runs(void **state)
{
	(void)state;
	boot_run("/kill-before");
}

static void killed_after_update_grub(void **state)
{
	(void)state;
	boot_run("/kill-after");
}

static void killed_revert_is_finished_by_resume(void **state)
{
	_cleanup_free_ char *stock = NULL, *have = NULL;
	int status;
	pid_t pid;

	(void)state;
	for (size_t n = 1; n < 4; n++) {
		machine();
		stock = fake_snapshot();
		plan_all();
		assert_int_equal(execute(), 0);
		pid = fork();
		if (pid == 0) {
			fake_kill_at(n);
			_exit(revert_all(NULL, NULL, NULL, NULL) == 0 ? 0 : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(revert_resume(NULL), 0);
		have = fake_snapshot();
		assert_string_equal(have, stock);
		free(have);
		free(stock);
		have = stock = NULL;
		assert_int_equal(fake_teardown(NULL), 0);
		assert_int_equal(fake_setup(NULL), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(killed_before_any_kernel_write),
		TEST(killed_while_update_grub_runs),
		TEST(killed_after_update_grub),
		TEST(killed_revert_is_finished_by_resume),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
