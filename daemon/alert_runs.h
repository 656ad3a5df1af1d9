#pragma once
/*
 * latencyd-alert@INSTANCE.service, started once for each alert of its setting, one after the other.
 */
struct alert_run;
struct manager;

struct alert_runs {
	struct alert_run *first;
};

/* Starts @instance's unit with @environment (taken over), at once or when the alerts before have
 * had their turn. Without a bus only the environment is written. What fails is told. */
void alert_runs_add(struct manager *m, const char *instance, char *environment);
/* With the bus goes what waited for its turn. */
void alert_runs_forget(struct alert_runs *all);
