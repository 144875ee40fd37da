/* SPDX-License-Identifier: Apache-2.0
 *
 * Programs that a region needs running beside it, and programs that carry markers themselves:
 * a serving engine, and the load driver that measures it.
 */
#ifndef KERNLEAP_SERVICE_H
#define KERNLEAP_SERVICE_H

/* All three take one line of the plan with tab-separated fields and record what came of it.
 *
 * NAME PROGRAM [ARGUMENT...]: starts a program; its output goes to a file of its name. */
void service_start(char *fields);
/* NAME PORT PATH SECONDS: waits until an HTTP GET on the loopback answers 200. A service that
 * ends or stays silent is recorded as failed, with the end of its output. */
void service_wait(char *fields);
/* NAME FORM OPERATIONS SUMMARY PROGRAM [ARGUMENT...]: runs a program that executes the markers
 * of one region, and hands the file SUMMARY over. */
void service_drive(char *fields, int index);
/* Ends everything that service_start began. */
void service_stop_all(void);

#endif
