#pragma once
/* Shared by the files of the generator. */
#include "tests/trees/tree.h"

struct tree {
	const struct tree_spec *spec;
	struct tree_cpus cpus;
	char *args; /* tree_boot_args() */
	int fd;
	int result; /* the first failure; everything after it is skipped */
};

/* Writers keep the first failure in t->result. Paths are relative; parents are made. */
void tree_folder(struct tree *t, const char *fmt, ...) printf_like(2, 3);
void tree_file(struct tree *t, const char *path, const char *fmt, ...) printf_like(3, 4);
void tree_bytes(struct tree *t, const char *path, const char *data, size_t size);
void tree_link(struct tree *t, const char *path, const char *target);
/* "FORMAT" with the list of @s, and a newline after it. */
void tree_list(struct tree *t, const char *path, const struct cpuset *s);

/* An in-memory file being written: fprintf into f, then tree_stream_end(). */
struct tree_stream {
	FILE *f;
	char *data;
	size_t size;
};
FILE *tree_stream(struct tree *t, struct tree_stream *s);
void tree_stream_end(struct tree *t, struct tree_stream *s, const char *path);

void tree_write_cpus(struct tree *t);	   /* tree_cpu.c */
void tree_write_nodes(struct tree *t);	   /* tree_cpu.c */
void tree_write_irqs(struct tree *t);	   /* tree_irq.c */
void tree_write_processes(struct tree *t); /* tree_process.c */
void tree_write_kernel(struct tree *t);	   /* tree_kernel.c */
void tree_write_boot(struct tree *t);	   /* tree_boot.c */
