#pragma once
/*
 * Random machines, and documents that fit them more often than not, from one seed.
 */
#include "tests/property/sim.h"

/* Fills the zeroed @s; its own rng goes on from the seed. */
void gen_machine(struct sim *s, uint64_t seed);

/* YAML in the sim's arena. */
const char *gen_document(struct sim *s);

/* A machine with everything the settings can ask for, and a document that asks for all of it. */
void gen_full_machine(struct sim *s, uint64_t seed);
extern const char gen_full_document[];
