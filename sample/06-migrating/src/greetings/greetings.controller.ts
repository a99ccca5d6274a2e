import {
  Controller,
  Get,
  Inject,
  NotFoundException,
  Param,
  Post,
  Query,
} from '@nestjs/common';
import { ClientProxy } from '@nestjs/microservices';
import { catchError, map, Observable, throwError, toArray } from 'rxjs';

@Controller('greetings')
export class GreetingsController {
  constructor(@Inject('GREETER') private readonly greeter: ClientProxy) {}

  @Get('visitors')
  visitors(): Observable<string[]> {
    return this.greeter.send<string[]>('visitors', {});
  }

  @Get(':name')
  greet(@Param('name') name: string): Observable<string> {
    return this.greeter
      .send<string>('greet', name)
      .pipe(
        catchError(({ message }: Error) =>
          throwError(() => new NotFoundException(message)),
        ),
      );
  }

  @Get()
  greetAll(@Query('names') names: string): Observable<string> {
    return this.greeter
      .send<string>({ cmd: 'greet', to: 'all' }, names.split(','))
      .pipe(
        toArray(),
        map((greetings) => greetings.join(' ')),
      );
  }

  @Post(':name/visits')
  visit(@Param('name') name: string): Observable<void> {
    return this.greeter.emit<void>('visited', name);
  }
}
