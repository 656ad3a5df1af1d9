#pragma once
/* The machine lock inside this folder; machine_lock() itself is in actuators/execute.h. */

/* The fd of the lock that this process took, or -1: for children that must hold it too. */
int lock_fd(void);
